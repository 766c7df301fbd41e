"""TimescaleDB beside the embedded PostgreSQL, where BENCH_TIMESCALE_URL names a database."""

import asyncio
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import asyncpg

from bench import database
from bench.bare import batches
from bench.context import Bench, LostFixes
from bench.load.fill import events
from bench.load.shifts import add_shifts
from bench.processes import Failed
from bench.report.result import Figure
from consumers.history.row import Row
from consumers.history.table import HistoryTable
from deploy.schema.migrate import migrate

NAME = "timescale"
TITLE = "Embedded PostgreSQL and TimescaleDB: the sink, and a row's size (BENCH_TIMESCALE_URL)"
BOUND_S = 300.0
URL_ENV = "BENCH_TIMESCALE_URL"
# A day of one driver, a fix every 5 s.
DAY_POINTS = 17_280
# A route of three hours is read so often.
ROUTES = 20

_PLAIN_BYTES = """
SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits
WHERE inhparent = 'locations'::regclass
"""
_COMPRESS = "SELECT compress_chunk(chunk) FROM show_chunks('locations') AS chunk"
_ROUTE = """
SELECT * FROM locations WHERE driver_id = $1 AND recorded_at >= $2 AND recorded_at < $3
ORDER BY recorded_at
"""


def is_possible() -> bool:
    """Whether a database is named."""
    return bool(os.environ.get(URL_ENV))


def run(bench: Bench) -> Iterable[Figure]:
    """The same rows into both. A database that holds a history already is refused."""
    url = os.environ.get(URL_ENV)
    if not url:
        raise Failed(f"{URL_ENV} names no database")
    asyncio.run(migrate(url))
    if database.rows(url):
        raise Failed(f"{URL_ENV} names a database with a history in it; it would be emptied")
    made = batches(events(bench.seed, bench.pick(300_000, 60_000)))
    bench.stack.reset()
    plain = bench.stack.database_url
    yield _sink("embedded", "table, embedded PostgreSQL", plain, made)
    yield _sink("timescale", "table, TimescaleDB", url, made)
    drivers = bench.pick(60, 6)
    for target in (plain, url):
        database.call(target, lambda c: add_shifts(c, drivers, DAY_POINTS))
    yield from _kept("plain", "days of drivers, embedded PostgreSQL", plain, _PLAIN_BYTES)
    size = "SELECT hypertable_size('locations')"
    yield from _kept("hypertable", "days of drivers, TimescaleDB", url, size)
    database.call(url, lambda c: c.execute(_COMPRESS))
    yield from _kept("columnstore", "days of drivers, columnstore", url, size)
    for target in (plain, url):
        database.clear(target)


def _sink(variant: str, label: str, target: str, made: list[list[Row]]) -> Figure:
    async def store() -> float:
        table = HistoryTable(target, timeout_s=30)
        await table.ensure()
        begin_s = time.monotonic()
        for batch in made:
            await table.store(batch)
        span_s = time.monotonic() - begin_s
        await table.close()
        return span_s

    span_s, count = asyncio.run(store()), sum(map(len, made))
    rows = database.rows(target)
    database.clear(target)
    if rows != count:
        raise LostFixes(f"{label}: not all of {count} rows are there")
    return Figure(f"timescale.{variant}", label, count / span_s, "fixes/s")


def _kept(variant: str, label: str, url: str, size: str) -> Iterable[Figure]:
    """Bytes of a row with its index, and how long a route of three hours takes to read."""

    async def look(connection: asyncpg.Connection) -> tuple[float, float]:
        rows = await connection.fetchval("SELECT count(*) FROM locations")
        ((driver, end),) = await connection.fetch(
            "SELECT driver_id, max(recorded_at) FROM locations GROUP BY driver_id LIMIT 1"
        )
        span_s = []
        for _ in range(ROUTES):
            begin_s = time.monotonic()
            await connection.fetch(_ROUTE, driver, end - timedelta(hours=3), datetime.now(UTC))
            span_s.append(time.monotonic() - begin_s)
        return await connection.fetchval(size) / rows, sorted(span_s)[ROUTES // 2]

    bytes_each, route_s = database.call(url, look)
    yield Figure(f"timescale.{variant}_bytes", f"{label}: a row", bytes_each, "bytes")
    yield Figure(f"timescale.{variant}_route", f"{label}: a route of 3 h", route_s * 1e3, "ms")
