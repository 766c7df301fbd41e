"""Arrivals of 2,000 active orders beside 2,000 fixes a second: what they cost, and whom they slow.

In turns with the role and without it, so that what else the machine does is the same for both; the
best of each counts.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import asyncpg

from bench import database
from bench.context import REPORT_SLACK_S, Bench, LostFixes
from bench.load.generator import Plan, Report
from bench.load.watcher import Plan as WatchPlan
from bench.load.watcher import Report as WatchReport
from bench.load.workload import CENTRE, driver_of, first_order
from bench.report.result import Figure
from bench.scenarios.fanout import PATH
from common.orders import store
from common.orders.book import OrderBook
from common.orders.order import Order, OrderPlace, OrderUpdate
from common.redis.nodes import Nodes
from common.redis.wire import Wire

NAME = "arrivals"
TITLE = "Arrivals: 2,000 active orders, 2,000 fixes/s of 10,000 drivers, with the role and without"
BOUND_S = 400.0
ORDERS, CONNECTIONS = 2_000, 256
# A quick run has those of the orders alone.
DRIVERS = 10_000, 2_000
RATE = 2000.0
# A place at the edge of the city, for all of them.
DROPOFF = OrderPlace(CENTRE[0] + 0.02, CENTRE[1] + 0.02)
TABLES = "orders, order_drivers, arrival_log, events"
ORDERS_AT_ONCE = 100


def run(bench: Bench) -> Iterable[Figure]:
    """Off and on, and again."""
    stack = bench.stack
    stack.reset()
    stack.start("consumers", "fanout", "ingest")
    bench.warm(stack.settings.ingest_port, bench.pick(*DRIVERS))
    database.call(stack.database_url, _clear)
    asyncio.run(_register(stack.database_url, stack.redis_url))
    best: dict[str, WatchReport] = {}
    shares, published = [], 0
    for variant in ("off", "on") * bench.pick(2, 1):
        seen, share, published = _measure(bench, on=variant == "on")
        before = best.get(variant)
        if before is None or seen.latency_ms["p99"] < before.latency_ms["p99"]:
            best[variant] = seen
        if variant == "on":
            shares.append(share)
        bench.say(
            f"ARRIVALS={variant}: p99 {seen.latency_ms['p99']:.1f} ms, {share:.1f} % of a core"
        )
    stack.stop_roles()
    database.call(stack.database_url, _clear)
    yield Figure("arrivals.cpu", f"arrivals of {ORDERS:,} orders", min(shares), "% of a core",
                 totals={"published": published})  # fmt: skip
    for variant, seen in best.items():
        label = f"POST → frame beside {ORDERS:,} orders, ARRIVALS={variant}"
        yield Figure(f"arrivals.frame_{variant}", label, seen.frames_per_s, "frames/s",
                     seen.latency_ms, seen.histogram)  # fmt: skip
    slower = best["on"].latency_ms["p99"] - best["off"].latency_ms["p99"]
    yield Figure("arrivals.slower", "p99 of a frame with arrivals, more than without",
                 round(slower, 2), "ms")  # fmt: skip


def _measure(bench: Bench, *, on: bool) -> tuple[WatchReport, float, int]:
    """What watchers saw, the role's share of a core, and arrivals that were stored."""
    stack = bench.stack
    if on:
        stack.start("arrivals")
    plan = Plan(
        stack.settings.ingest_port, CONNECTIONS, bench.pick(30.0, 8.0), rate=RATE,
        drivers=bench.pick(*DRIVERS), seed=bench.seed, requests=bench.pick(60_000, 16_000),
    )  # fmt: skip
    paths = [PATH.format(first_order(n)) for n in range(ORDERS)]
    watcher = bench.start_watcher(WatchPlan(port=stack.settings.fanout_port, paths=paths))
    generator = bench.start_generator(plan)
    try:
        before = stack.cpu()
        watcher.go()
        generator.go()
        sent = Report(**generator.report(plan.seconds + REPORT_SLACK_S))
        after = stack.cpu()
        watcher.go()
        seen = WatchReport(**watcher.report(REPORT_SLACK_S))
    finally:
        watcher.close()
        generator.close()
    stack.stop_roles("arrivals")
    said = database.call(stack.database_url, _said) if on else 0
    if on and said < ORDERS:
        raise LostFixes(f"arrivals: said of {said} orders of {ORDERS}")
    used_s = after["arrivals"] - before["arrivals"] if on else 0.0
    return seen, used_s / sent.seconds * 100, said


async def _register(database_url: str, redis_url: str) -> None:
    """The first order of each of the first drivers, as a backend registers it."""
    connection = await asyncpg.connect(database_url)
    wire = Wire(redis_url, reply_timeout_s=5.0)
    await wire.start()
    try:
        book = OrderBook(Nodes(wire), position_ttl_s=3600)
        for first in range(0, ORDERS, ORDERS_AT_ONCE):
            await book.write(await _put(connection, range(first, first + ORDERS_AT_ONCE)))
    finally:
        await wire.close()
        await connection.close()


async def _put(connection: asyncpg.Connection, numbers: Sequence[int]) -> list[Order]:
    stored = []
    for number in numbers:
        update = OrderUpdate(driver_id=driver_of(number), dropoff=DROPOFF)
        put = await store.put(connection, first_order(number), update, datetime.now(UTC))
        stored.append(put.order)
    return stored


async def _clear(connection: asyncpg.Connection) -> None:
    await connection.execute(f"TRUNCATE {TABLES}")


async def _said(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(DISTINCT order_id) FROM arrival_log"))
