"""Crossings: a driver comes into a fence; how long until the webhook has it, at 2,000 fixes/s."""

import time
from collections.abc import Iterable
from dataclasses import asdict
from urllib.request import Request, urlopen

import asyncpg
import orjson

from bench import accounting, database
from bench.context import REPORT_SLACK_S, Bench, LostFixes, totals_of
from bench.load.generator import Plan, Report
from bench.load.hook_taker import Plan as TakerPlan
from bench.load.hook_taker import Report as TakerReport
from bench.processes import Talker, wait_until
from bench.report.result import Figure
from bench.scenarios.beside.fences import add_fences
from bench.scenarios.end_to_end import CONNECTIONS, DRIVERS, RATE

NAME = "crossings"
TITLE = "Crossings: 10,200 geofences, 2,000 fixes/s; from the fix to the webhook's receiver"
BOUND_S = 180.0
# Webhooks, by the fences that each is told of. One is sent 100 a second at most, and drivers come
# into some ninety of all the fences a second: a ninth of them each leaves room.
WEBHOOKS = ("circle-1*", "circle-2*", "circle-3*", "circle-4*")
# The engine has its fences and locks, and what first fixes made happen is sent.
SETTLE_S = 5.0
_WAITING = "SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'"
_SETTLED = """
SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered,
       count(*) FILTER (WHERE state = 'dead') AS dead,
       (SELECT count(*) FROM events WHERE at >= now() - make_interval(secs => $1)) AS events
FROM webhook_deliveries
"""


def run(bench: Bench) -> Iterable[Figure]:
    """All roles that a crossing passes; the fan-out's port is the receiver's."""
    stack = bench.stack
    stack.reset()
    add_fences(stack, bench.seed)
    stack.start("consumers", "ingest", "places", "hooks", webhook_private="on")
    receiver = f"http://127.0.0.1:{stack.settings.fanout_port}/hook"
    for number, fences in enumerate(WEBHOOKS):
        _register(stack.settings.ingest_port, f"bench-{number}", receiver, fences)
    taker = Talker(
        "bench.load.hook_taker",
        asdict(TakerPlan(stack.settings.fanout_port)),
        stack.log("hook_taker"),
    )
    seconds = bench.pick(40.0, 10.0)
    plan = Plan(
        stack.settings.ingest_port, CONNECTIONS, seconds, rate=RATE, drivers=DRIVERS,
        seed=bench.seed, requests=int(RATE * seconds),
    )  # fmt: skip
    try:
        bench.warm(stack.settings.ingest_port, DRIVERS)
        generator = bench.start_generator(plan)
        time.sleep(SETTLE_S)
        _all_sent(bench)
        yield _measured(bench, plan, generator, taker)
    finally:
        taker.close()
        stack.stop_roles()


def _measured(bench: Bench, plan: Plan, generator: Talker, taker: Talker) -> Figure:
    stack = bench.stack
    before, earlier = stack.cpu(), _settled(bench, 0.0)
    begin_s = time.monotonic()
    taker.go()
    generator.go()
    sent = Report(**generator.report(plan.seconds + REPORT_SLACK_S))
    stack.drained()
    cost = accounting.per_fix_us(before, stack.cpu(), sent.fixes_sent)
    _all_sent(bench)
    taker.go()
    seen = TakerReport(**taker.report(REPORT_SLACK_S))
    settled = _settled(bench, time.monotonic() - begin_s)
    delivered = settled["delivered"] - earlier["delivered"]
    if seen.hooks < delivered or settled["dead"]:
        raise LostFixes(f"{delivered} delivered, {settled['dead']} dead, {seen.hooks} came")
    totals = {**totals_of(sent), "hooks": seen.hooks, "events": settled["events"]}
    notes = [f"{settled['events'] / plan.seconds:.0f} events a second in all"]
    notes += [sent.saturated] if sent.saturated else []
    return Figure(
        "crossings.webhook", "a crossing, from the fix to the webhook's receiver",
        round(seen.hooks / plan.seconds, 1), "webhooks/s", seen.latency_ms, seen.histogram, cost,
        totals, notes,
    )  # fmt: skip


def _register(port: int, webhook_id: str, url: str, fences: str) -> None:
    body = {"url": url, "events": ["geofence.enter"], "filter": {"geofence_id": fences}}
    request = Request(
        f"http://127.0.0.1:{port}/api/v1/webhooks/{webhook_id}",
        orjson.dumps(body),
        {"content-type": "application/json"},
        method="PUT",
    )
    with urlopen(request, timeout=10) as answer:
        answer.read()


def _all_sent(bench: Bench) -> None:
    async def waiting(connection: asyncpg.Connection) -> int:
        return int(await connection.fetchval(_WAITING))

    url = bench.stack.database_url
    wait_until(lambda: database.call(url, waiting) == 0, 30, "webhooks were not sent", every_s=0.2)


def _settled(bench: Bench, span_s: float) -> dict[str, int]:
    async def count(connection: asyncpg.Connection) -> dict[str, int]:
        [row] = await connection.fetch(_SETTLED, span_s)
        return dict(row)

    return database.call(bench.stack.database_url, count)
