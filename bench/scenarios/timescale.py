"""TimescaleDB beside the embedded PostgreSQL, where BENCH_TIMESCALE_URL names a database."""

import asyncio
import os
import time
from collections.abc import Iterable

from bench import database
from bench.bare import batches
from bench.context import Bench, LostFixes
from bench.fill import events
from bench.processes import Failed
from bench.result import Figure
from consumers.history.table import HistoryTable
from deploy.schema.migrate import migrate

NAME = "timescale"
TITLE = "Embedded PostgreSQL and TimescaleDB: the sink (BENCH_TIMESCALE_URL)"
BOUND_S = 120.0
URL_ENV = "BENCH_TIMESCALE_URL"


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
    count = sum(map(len, made))
    bench.stack.reset()
    for variant, label, target in (
        ("embedded", "table, embedded PostgreSQL", bench.stack.database_url),
        ("timescale", "table, TimescaleDB", url),
    ):

        async def store(target: str = target) -> float:
            table = HistoryTable(target, timeout_s=30)
            await table.ensure()
            begin_s = time.monotonic()
            for batch in made:
                await table.store(batch)
            span_s = time.monotonic() - begin_s
            await table.close()
            return span_s

        span_s = asyncio.run(store())
        rows = database.rows(target)
        database.clear(target)
        if rows != count:
            raise LostFixes(f"{label}: not all of {count} rows are there")
        yield Figure(f"timescale.{variant}", label, count / span_s, "fixes/s")
