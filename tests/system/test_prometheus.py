"""A real Prometheus watches a running stack: what dashboards show, and alerts caused for real.

One test for one stack and one Prometheus: each step leaves the stack whole for the next.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest
import redis

from common.keys import ENTRY_FIELD, shard_keys
from common.metrics.catalogue import BY_ROLE, CATALOGUE, ROLES, metrics_port
from common.metrics.metric import MetricKind
from common.processes.policy import RestartPolicy
from tests import ws
from tests.prometheus import HAVE_PROMETHEUS, MISSING, Prometheus
from tests.stack import METRICS_OFFSETS, fleetline
from tests.wait import pace, until

pytestmark = [
    pytest.mark.skipif(not HAVE_PROMETHEUS, reason=MISSING),
    pytest.mark.timeout(180),
]
GRAFANA = Path(__file__).parents[2] / "deploy/grafana"
SERVING = [role for role in ROLES if role in BY_ROLE]
ORDER = "watched-by-prometheus"
# One more short run and its supervisor would give it half a minute.
KILLS_MAX = RestartPolicy().short_runs_max - 2
SILENT = {
    # Nothing grows, so the room lasts for ever: no line is the good news.
    "min by (shard) (fleetline_room_seconds < +Inf)",
}


class Traffic:
    """Drivers that send, one fix wrong among them, and a customer who watches."""

    def __init__(self, stack):
        self._stack = stack
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send()), group.create_task(self._watch())]
            yield
            for task in tasks:
                task.cancel()

    async def _send(self):
        drivers = "/api/v1/drivers"
        while True:
            number = next(self._numbers)
            fix = {"latitude": 53.4, "longitude": -2.9 + number % 1000 / 1e5}
            body = {"locations": [{"driver_id": f"prom-{n}", **fix} for n in range(8)]}
            wrong = {**fix, "latitude": 100}
            for path, sent in (
                (f"{drivers}/prom-0/location", {**fix, "order_id": ORDER}),
                (f"{drivers}/locations", body),
                (f"{drivers}/prom-1/location", wrong),
                ("/owntracks", {"_type": "waypoint", "desc": "home"}),
            ):
                # What it is answered is for the metrics to say.
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._stack.request, "POST", path, sent)
            await pace(0.02)

    async def _watch(self):
        path = ws.ORDER_PATH.format(ORDER)
        while True:
            with contextlib.suppress(ws.Closed, ws.Refused, OSError):
                client = await ws.connect(self._stack.fanout_port, path)
                try:
                    while True:
                        await client.text()
                finally:
                    client.abort()
            await pace(0.2)


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
    with Prometheus(tmp_path, stack.port + METRICS_OFFSETS[0]) as prometheus:
        asyncio.run(watch(stack, prometheus))


async def watch(stack, prometheus):
    async with Traffic(stack).running():
        await refuse_a_socket(stack)
        await dashboards_show_data(prometheus)
        await a_killed_child_makes_no_counter_fall(stack, prometheus)
        await dead_letters_are_told(stack, prometheus)
        await a_frozen_database_is_told(stack, prometheus)
        await a_full_redis_is_told(stack, prometheus)
        await a_worker_that_does_not_come_back_is_told(stack, prometheus)
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
        os.kill(pid, signal.SIGKILL)
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


async def fires(prometheus, *alerts):
    async def firing():
        return prometheus.firing() >= set(alerts)

    try:
        await until(firing, timeout_s=25)
    except TimeoutError:
        pytest.fail(f"{alerts}, but {prometheus.firing()} fire")


async def ends(prometheus, *alerts):
    async def over():
        return not prometheus.firing() & set(alerts)

    await until(over, timeout_s=25, what=f"the end of {alerts}")


async def dead_letters_are_told(stack, prometheus):
    keys = shard_keys("driver-locations", 0, 4)
    with redis.Redis.from_url(stack.redis_url) as client:
        client.xadd(keys.stream, {ENTRY_FIELD: b"{nothing that can be read}"})
        await fires(prometheus, "FleetlineDeadLetters")
        client.delete(keys.dead)
    await ends(prometheus, "FleetlineDeadLetters")


async def a_frozen_database_is_told(stack, prometheus):
    postmaster = psutil.Process(stack.pid("postgres"))
    # A stopped postmaster alone would stop nobody: its backends go on.
    frozen = [postmaster, *postmaster.children(recursive=True)]
    try:
        for process in frozen:
            process.suspend()
        await fires(prometheus, "FleetlineDatabaseDown", "FleetlineHistoryLate")
        # Live goes on: nobody is told otherwise.
        assert not prometheus.firing() & {"FleetlineNotDelivering", "FleetlineFixesRefused"}
    finally:
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    await ends(prometheus, "FleetlineDatabaseDown", "FleetlineHistoryLate")


async def a_full_redis_is_told(stack, prometheus):
    with redis.Redis.from_url(stack.redis_url) as client:
        limit = client.config_get("maxmemory")["maxmemory"]
        try:
            client.config_set("maxmemory", 1)
            await fires(prometheus, "FleetlineRedisRefuses", "FleetlineFixesRefused")
        finally:
            client.config_set("maxmemory", limit)
    await ends(prometheus, "FleetlineRedisRefuses", "FleetlineFixesRefused")


async def a_worker_that_does_not_come_back_is_told(stack, prometheus):
    """Killed as soon as it is back, its supervisor waits longer and longer: here up to 2 s."""
    killed = {None}

    async def told():
        pid = stack.pid("consumer-2")
        if pid not in killed and len(killed) <= KILLS_MAX:
            killed.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        alerts = {"FleetlineProcessDown", "FleetlineShardWithoutWriter"}
        return prometheus.firing() >= alerts

    await until(told, timeout_s=40, what="a dead worker that is told")
    await ends(prometheus, "FleetlineProcessDown", "FleetlineShardWithoutWriter")


async def top_agrees(stack):
    arguments = ("top", "--json", "--every", "0.5", "--home", str(stack.home))
    done = await asyncio.to_thread(fleetline, *arguments)
    overview = json.loads(done.stdout)
    assert overview["roles"] == SERVING
    assert [shard["shard"] for shard in overview["shards"]] == [0, 1, 2, 3]
    assert all(process["up"] for process in overview["processes"])
