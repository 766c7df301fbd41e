"""History: the table alone, with new rows, with 5 % that are stored already, with nothing new."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from bench import accounting, database
from bench.bare import batches
from bench.context import Bench, LostFixes
from bench.load.fill import events
from bench.report.result import Figure
from consumers.history.row import Row
from consumers.history.table import HistoryTable

NAME = "history"
TITLE = "History: COPY straight, 5 % duplicates, all duplicates"
BOUND_S = 120.0


def run(bench: Bench) -> Iterable[Figure]:
    """Drives `consumers.history.table.HistoryTable` as a worker does, batch by batch."""
    fresh = batches(events(bench.seed, bench.pick(300_000, 60_000)))
    bench.stack.reset()
    yield _store(bench, fresh, "straight", "history, COPY straight")
    yield database.call(bench.stack.database_url, _row_bytes)
    again = [row for batch in fresh for row in batch]
    # One row in twenty has been stored: as after clients that retried.
    new = batches(events(bench.seed + 1, bench.pick(300_000, 60_000)))
    mixed = []
    for number, batch in enumerate(new):
        repeated = again[number * len(batch) // 20 : (number + 1) * len(batch) // 20]
        mixed.append(sorted([*batch[len(repeated) :], *repeated], key=lambda row: row[:2]))
    yield _store(bench, mixed, "duplicates_5", "history, 5 % duplicates")
    yield _store(bench, fresh, "duplicates_all", "history, all duplicates")
    expected = len({row[:2] for batch in (*fresh, *mixed) for row in batch})
    rows = bench.stack.rows()
    if rows != expected:
        raise LostFixes(f"history: {expected} different rows, stored {rows}")


async def _row_bytes(connection: database.Connection) -> Figure:
    """Disk that a row takes, with its index and its share of half-filled pages."""
    size = await connection.fetchval(
        "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits"
        " WHERE inhparent = 'locations'::regclass"
    )
    rows = await connection.fetchval("SELECT count(*) FROM locations")
    totals = {"rows": rows}
    return Figure("history.row", "history, disk a row", size / rows, "bytes", totals=totals)


def _store(bench: Bench, prepared: Sequence[Sequence[Row]], variant: str, label: str) -> Figure:
    count = sum(map(len, prepared))

    async def store() -> tuple[float, dict[str, float]]:
        table = HistoryTable(bench.stack.database_url, timeout_s=30)
        try:
            await table.ensure()
            before, own_s = bench.stack.cpu(), time.process_time()
            begin_s = time.monotonic()
            for batch in prepared:
                await table.store(batch)
            span_s = time.monotonic() - begin_s
            # Before the connection ends: its server process takes its account along.
            cost = accounting.per_fix_us(before, bench.stack.cpu(), count)
            cost["client"] = round((time.process_time() - own_s) / count * 1e6, 2)
            return span_s, cost
        finally:
            await table.close()

    span_s, cost = asyncio.run(store())
    return Figure(f"history.{variant}", label, count / span_s, "fixes/s", cpu_us=cost)
