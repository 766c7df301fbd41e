"""A real Prometheus watches a running stack: what dashboards show, and each alert caused for real.

One test for one stack and one Prometheus. Causes that do not hide each other come together.
"""

import asyncio
import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest
import redis

from common.keys import ENTRY_FIELD
from common.metrics.catalogue import BY_ROLE, CATALOGUE, ROLES, metrics_port
from common.metrics.metric import MetricKind
from common.processes.supervision.policy import RestartPolicy
from common.shards import Shards
from tests.clients import ws
from tests.freezing import family, frozen
from tests.servers import free_port
from tests.servers.prometheus import HAVE_PROMETHEUS, MISSING, Alarms, Prometheus, alert_names
from tests.stack import METRICS_OFFSETS, Stack, fleetline, new_home
from tests.system import alert_causes as causes
from tests.wait import pace, until

pytestmark = [
    pytest.mark.skipif(not HAVE_PROMETHEUS, reason=MISSING),
    pytest.mark.timeout(240),
]
GRAFANA = Path(__file__).parents[2] / "deploy/grafana"
# Roads run where there is a graph.
SERVING = [role for role in ROLES if role in BY_ROLE and role != "roads"]
GROUP = "location-processors"
SHARDS = Shards("driver-locations", 2)
# Small enough to come near: fixes that may wait, sockets that may be open. A frozen worker must
# stay until its lease has run out, and a lock longer than the alert's limit is no outage.
SETTINGS = {
    "SHARDS": str(len(SHARDS)), "BACKLOG_MAX": "20000", "FANOUT_CONNECTIONS_MAX": "10",
    "HEARTBEAT_TIMEOUT_S": "25", "DATABASE_TIMEOUT_S": "4", "WEBHOOK_PRIVATE": "on",
}  # fmt: skip
# One more short run and its supervisor would give it half a minute.
KILLS_MAX = RestartPolicy().short_runs_max - 2
# The planner sends no plan that breaks a rule: a solver with a bug would have to make one.
OF_BUGS = {"FleetlinePlanViolations"}
# One Redis has no replica to miss.
OF_REPLICAS = {"FleetlineUnreplicated"}
SILENT = {
    # There is no road graph.
    "sum(fleetline_roads_engines)",
    "sum(increase(fleetline_roads_restarts_total[1h]))",
    "min(fleetline_roads_learned_age_seconds) / 86400",
    # Nothing grows, so the room lasts for ever: no line is the good news.
    "min by (shard) (fleetline_room_seconds < +Inf)",
}


@pytest.fixture
def stack():
    """A stack of its own: nothing that others leave behind is told, and most of it is broken."""
    with new_home() as home, Stack(home, extra=SETTINGS) as running:
        yield running


def ports(stack):
    first = stack.port + METRICS_OFFSETS[0]
    return {role: metrics_port(role, first) for role in SERVING}


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
        return reply.read()


def test_a_real_prometheus_sees_what_happens(stack, tmp_path):
    for port in ports(stack).values():
        check = (shutil.which("promtool"), "check", "metrics")
        done = subprocess.run(check, input=page(port), capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    other = free_port()
    with (
        causes.other_host(stack, other, len(SHARDS), only=0) as host,
        Prometheus(tmp_path, stack.port + METRICS_OFFSETS[0], {"consumers": other}) as prometheus,
    ):
        asyncio.run(watch(stack, host, prometheus))


async def watch(stack, host, prometheus):
    alarms = Alarms(prometheus)
    async with causes.Traffic(stack).running():
        await refuse_a_socket(stack)
        # All are scraped, and the other host.
        await is_at_least(prometheus, "sum(up)", len(SERVING) + 1)
        await a_killed_child_makes_no_counter_fall(stack, prometheus)
        await a_worker_that_does_not_come_back_is_told(stack, alarms)
        await dashboards_show_data(prometheus)
        # One of ten fixes of the traffic is wrong, and its room is small.
        await alarms.fire("FleetlineFixesInvalid", "FleetlineOutageShort")
        await what_does_not_hinder_the_rest_is_told(stack, host, alarms)
        await slow_stores_are_told(stack, alarms)
        await a_frozen_database_is_told(stack, alarms)
        await a_redis_that_takes_nothing_is_told(stack, alarms)
    assert sorted(alarms.seen) == sorted(set(alert_names()) - OF_BUGS - OF_REPLICAS)
    await top_agrees(stack)


async def refuse_a_socket(stack):
    """And have one closed by us: by number, as operators are told of them."""
    with pytest.raises(ws.Refused):
        await ws.connect(stack.fanout_port, "/api/v1/drivers/orders/%20/driver-location")
    over = "over-for-prometheus"
    complete = f"/api/v1/orders/{over}/complete"
    client = await ws.connect(stack.fanout_port, ws.ORDER_PATH.format(over))
    status, _ = await asyncio.to_thread(stack.request, "POST", complete)
    assert status == 202
    assert (await client.closed()).code == 4000


async def dashboards_show_data(prometheus):
    """Every expression of every dashboard gives a number, and of percentiles a real one."""
    exprs = {
        target["expr"]
        for file in GRAFANA.glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", ())
    }
    assert len(exprs) > 50
    without = exprs - SILENT

    async def all_have():
        nonlocal without
        without = {expr for expr in without if not has_data(prometheus, expr)}
        return not without

    try:
        await until(all_have, timeout_s=40)
    except TimeoutError:
        pytest.fail(f"no data: {sorted(without)}")
    for expr in SILENT:
        # A valid expression, at least.
        prometheus.query(expr)


def has_data(prometheus, expr):
    return any(series["value"][1] != "NaN" for series in prometheus.query(expr))


async def a_killed_child_makes_no_counter_fall(stack, prometheus):
    restarts = "sum(fleetline_process_restarts_total)"
    before = prometheus.value(restarts)
    ingest = psutil.Process(stack.pid("ingest"))
    for pid in (stack.pid("consumer-1"), ingest.children()[0].pid):
        causes.kill(pid)
    await is_at_least(prometheus, restarts, before + 1)
    # Both are back and have counted on; a counter that fell meanwhile was reset.
    grown = 'sum(fleetline_fixes_total{result="accepted"})'
    await is_at_least(prometheus, grown, prometheus.value(grown) + 10)
    stored = 'sum(fleetline_stored_rows_total{shard="1"})'
    await is_at_least(prometheus, stored, prometheus.value(stored) + 1)
    names = [x.name for x in CATALOGUE.values() if x.kind is MetricKind.COUNTER]
    names += [f"{x.name}_count" for x in CATALOGUE.values() if x.kind is MetricKind.HISTOGRAM]
    fallen = [
        (name, series["metric"])
        for name in names
        for series in prometheus.query(f"resets({name}[2m])")
        if series["value"][1] != "0"
    ]
    assert fallen == []


async def is_at_least(prometheus, expr, value):
    async def reached():
        return (prometheus.value(expr) or 0) >= value

    await until(reached, timeout_s=20, what=f"{expr} >= {value}")


async def a_worker_that_does_not_come_back_is_told(stack, alarms):
    """Killed as soon as it is back, its supervisor waits longer and longer: here up to 2 s."""
    alerts = (
        "FleetlineProcessDown",
        "FleetlineShardWithoutWriter",
        "FleetlineProcessRestarts",
    )
    killed = {None}

    async def keep_killing():
        while len(killed) <= KILLS_MAX:
            pid = stack.pid("consumer-1")
            if pid not in killed:
                killed.add(pid)
                causes.kill(pid)
            await pace(0.05)

    async with alarms.told_of(*alerts):
        task = asyncio.create_task(keep_killing())
        try:
            await alarms.fire(*alerts)
        finally:
            task.cancel()
    await alarms.end("FleetlineProcessDown", "FleetlineShardWithoutWriter")


async def what_does_not_hinder_the_rest_is_told(stack, host, alarms):
    """Each cause harms a part of its own, so all are there at once."""
    keys = SHARDS[1].keys
    with redis.Redis.from_url(stack.redis_url) as client:
        async with (
            alarms.told_of(
                "FleetlineDeadLetters", "FleetlineFixesLost", "FleetlineErrorsLogged",
                "FleetlineSocketsNearlyFull", "FleetlineRedisNearlyFull",
                "FleetlineInsightLate", "FleetlinePlacesLate",
                "FleetlineProcessHangs", "FleetlineShardWithTwoWriters", "FleetlineHistoryLate",
            ),
            # Nobody else uses these two tables.
            causes.locked(stack.database_url, "insight_shares", "places_changes"),
            causes.watched(stack.fanout_port, (f"full-{n}" for n in range(9))),
            causes.repeated(causes.nearly_full(stack.redis_url)),
        ):  # fmt: skip
            client.xadd(keys.stream, {ENTRY_FIELD: b"{nothing that can be read}"})
            await alarms.fire("FleetlineDeadLetters")
            client.xgroup_destroy(keys.stream, GROUP)
            # The lease of its shard runs out: this host has it, and that one still says so too.
            with frozen(*family(host)[1:]):
                await alarms.fire("FleetlineShardWithTwoWriters")
            await alarms.fire(
                "FleetlineFixesLost", "FleetlineSocketsNearlyFull", "FleetlineRedisNearlyFull",
                "FleetlineInsightLate", "FleetlinePlacesLate",
            )  # fmt: skip
        client.delete(keys.dead)


async def slow_stores_are_told(stack, alarms):
    """Both stores answer, but late."""
    alerts = ("FleetlineIngestSlow", "FleetlineLiveSlow", "FleetlineDatabaseSlow")
    async with (
        alarms.told_of(*alerts),
        causes.repeated(causes.stalls(stack.redis_url)),
        causes.repeated(causes.slow_history(stack.database_url)),
    ):
        await alarms.fire(*alerts)


async def a_frozen_database_is_told(stack, alarms):
    """With it the follower of the history, and a host whose clock is behind."""
    alerts = (
        "FleetlineDatabaseDown", "FleetlineRoomShort", "FleetlineRoleDown", "FleetlineFramesSlow",
    )  # fmt: skip
    many = causes.crowd("many", 1000, {"latitude": 53.4, "longitude": -2.9})
    async with (
        alarms.told_of(*alerts),
        causes.repeated(causes.clock_behind(stack, SHARDS)),
    ):
        # A stopped postmaster alone would stop nobody: its backends go on.
        with frozen(*family(stack.pid("postgres")), stack.pid("insight")):
            for _ in range(2):
                path = f"{causes.DRIVERS}/locations"
                status, _ = await asyncio.to_thread(stack.request, "POST", path, many)
                assert status == 202
            await alarms.fire(*alerts)
            # Live goes on: nobody is told otherwise.
            await alarms.end("FleetlineNotDelivering", "FleetlineFixesRefused")
    await alarms.end("FleetlineDatabaseDown", "FleetlineRoleDown")


async def a_redis_that_takes_nothing_is_told(stack, alarms):
    """Full, and then frozen."""
    alerts = "FleetlineRedisRefuses", "FleetlineFixesRefused"
    async with alarms.told_of(*alerts):
        with causes.full(stack.redis_url):
            await alarms.fire(*alerts)
    alerts = "FleetlineRedisDown", "FleetlineNotDelivering"
    async with alarms.told_of(*alerts):
        with frozen(stack.pid("redis")):
            await alarms.fire(*alerts)
    await alarms.end(*alerts)


async def top_agrees(stack):
    async def is_whole():
        return set(stack.states().values()) <= {"running", "stopped"}

    await until(is_whole, timeout_s=30, what="a whole stack")
    arguments = ("top", "--json", "--every", "0.5", "--home", str(stack.home))
    done = await asyncio.to_thread(fleetline, *arguments)
    overview = json.loads(done.stdout)
    assert overview["roles"] == SERVING
    assert [shard["shard"] for shard in overview["shards"]] == [0, 1]
    assert all(process["up"] for process in overview["processes"])
