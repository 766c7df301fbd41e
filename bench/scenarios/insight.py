"""Trips and statistics: backfill of a day, questions about it, following live.

What it costs those whom it must not slow is `beside`.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import asyncpg

from bench import accounting, database
from bench.context import Bench, LostFixes, rate_figure
from bench.load.generator import Plan
from bench.load.shifts import add_shifts
from bench.report.result import Figure
from common.geo import cells
from consumers.insight.database import Database, connect
from consumers.insight.fold.rules import Rules
from consumers.insight.follower import Follower
from consumers.insight.shares import SHARES

NAME = "insight"
TITLE = "Insight: backfill, fleet summary, heat, following 2,000 fixes/s"
BOUND_S = 900.0
# A day of one driver, a fix every 5 s; 579 of them are 10 million rows.
DAY_POINTS = 17_280
# Drivers, and cells of each in an hour, of the heat map.
CITY = (10_000, 20)
RATE = 2000
# Results are looked at this often.
LOOK_S = 1.0

_CITY = """
WITH known AS (SELECT array_agg(DISTINCT cell) AS cells FROM driver_cell_hours)
INSERT INTO driver_cell_hours (hour, driver_id, cell, fixes, stops, distance_m, moving_s)
SELECT DISTINCT ON (driver, cell) $1, 'city-' || driver, cell, 30, 0, 900, 120
FROM known, generate_series(1, $2::int) AS driver, generate_series(1, $3::int) AS n,
     LATERAL (SELECT cells[1 + abs(hashint4(driver * 31 + n) % cardinality(cells))] AS cell) AS c
"""


def run(bench: Bench) -> Iterable[Figure]:
    """Backfill and questions over 10 million rows, then live."""
    stack = bench.stack
    stack.reset()
    drivers = bench.pick(579, 58)
    bench.say(f"{drivers * DAY_POINTS:,} rows of shifts")
    database.call(stack.database_url, lambda c: add_shifts(c, drivers, DAY_POINTS))
    yield asyncio.run(_backfill(bench, drivers * DAY_POINTS))
    database.call(stack.database_url, _add_city)
    stack.start("ingest")
    yield _ask(bench, "fleet", "fleet/summary", f"a day of {drivers} drivers")
    yield _ask(bench, "heat", "fleet/heat", f"heat of an hour, {CITY[0]:,} drivers")
    yield from _follow(bench)
    stack.stop_roles()


async def _backfill(bench: Bench, rows: int) -> Figure:
    """As the role does it, in this process: nothing else runs."""
    connection = await connect(bench.stack.database_url)
    try:
        cell_of = cells.cell_function() if cells.available() else None
        follower = Follower(Database(connection), Rules(cells=cell_of is not None), cell_of)
        before, own_s, begin_s = bench.stack.cpu(), time.process_time(), time.monotonic()
        await follower.turn(set(range(SHARES)))
        span_s = time.monotonic() - begin_s
        cost = accounting.per_fix_us(before, bench.stack.cpu(), rows)
        cost["insight"] = round((time.process_time() - own_s) / rows * 1e6, 2)
    finally:
        await connection.close()
    if follower.fixes != rows:
        raise LostFixes(f"backfill: {rows} rows, folded {follower.fixes}")
    return Figure("insight.backfill", "backfill, one process", rows / span_s, "fixes/s",
                  cpu_us=cost, totals={"rows": rows, "seconds": round(span_s, 1)})  # fmt: skip


async def _add_city(connection: asyncpg.Connection) -> None:
    await connection.execute(_CITY, _hour() - timedelta(days=3), *CITY)
    await connection.execute("ANALYZE driver_cell_hours, driver_quarters, trips, stops, gaps")


def _hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _ask(bench: Bench, name: str, path: str, label: str) -> Figure:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = today - timedelta(days=1), today
    if name == "heat":
        start = _hour() - timedelta(days=3)
        end = start + timedelta(hours=1)
    query = urlencode({"start_time": start.isoformat(), "end_time": end.isoformat()})
    plan = Plan(bench.stack.settings.ingest_port, 1, bench.pick(8.0, 3.0),
                paths=[f"/api/v1/{path}?{query}"])  # fmt: skip
    return rate_figure(f"insight.{name}", label, bench.load(plan), unit="requests/s")


def _follow(bench: Bench) -> Iterable[Figure]:
    """10,000 drivers, 2,000 fixes a second: what the follower takes, and how far it is behind."""
    stack, seconds = bench.stack, bench.pick(90.0, 40.0)
    stack.reset()
    stack.start("consumers", "ingest", "insight")
    bench.warm(stack.settings.ingest_port)
    plan = Plan(stack.settings.ingest_port, 32, seconds, rate=RATE, seed=bench.seed)
    talker = bench.start_generator(plan)
    talker.go()
    warm_s = seconds / 3
    time.sleep(warm_s)
    before, begin_s = stack.cpu(), time.monotonic()
    behind = []
    while time.monotonic() - begin_s < seconds - warm_s:
        behind.append(database.call(stack.database_url, _behind_s))
        time.sleep(LOOK_S)
    after, span_s = stack.cpu(), time.monotonic() - begin_s
    talker.report(seconds)
    stack.stop_roles()
    share = (after["insight"] - before["insight"]) / span_s * 100
    postgres = (after["postgres"] - before["postgres"]) / span_s * 100
    yield Figure("insight.follow", f"follows {RATE:,} fixes/s of 10,000 drivers", share,
                 "% of a core", totals={"postgres_percent": round(postgres, 1)},
                 notes=[f"PostgreSQL, history and all: {postgres:.0f} %"])  # fmt: skip
    yield Figure("insight.behind", "results behind at most", max(behind), "s")


async def _behind_s(connection: asyncpg.Connection) -> float:
    """How old the newest fix is that counts in the sums."""
    return float(
        await connection.fetchval(
            "SELECT extract(epoch FROM now() - max(last_at)) FROM driver_quarters"
            " WHERE quarter > now() - interval '1 hour'"
        )
        or 0.0
    )
