"""Ceilings of the database: COPY with nothing around it."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg

from bench import accounting
from bench.load.fill import Event, rows
from bench.report.result import Figure
from bench.stack import Stack
from common.event import COLUMNS
from consumers.history.row import TABLE, Row

# As many rows as the history stage takes at a time.
BATCH_ROWS = 4000


def batches(made: Sequence[Event]) -> list[list[Row]]:
    """Rows in batches, sorted by key as the history stage sorts them."""
    all_rows = rows(made)
    return [
        sorted(all_rows[first : first + BATCH_ROWS], key=lambda row: row[:2])
        for first in range(0, len(all_rows), BATCH_ROWS)
    ]


def copy_rate(stack: Stack, made: Sequence[Event], key: str, label: str) -> Figure:
    """Binary COPY into the same table, one transaction a batch."""
    prepared = batches(made)

    async def run() -> tuple[float, dict[str, float]]:
        connection = await asyncpg.connect(stack.database_url)
        try:
            days = sorted({row[1].date() for batch in prepared for row in batch})
            await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", days)
            before, own_s = stack.cpu(), time.process_time()
            begin_s = time.monotonic()
            for batch in prepared:
                await connection.copy_records_to_table(TABLE, records=batch, columns=COLUMNS)
            span_s = time.monotonic() - begin_s
            # Before the connection ends: its server process takes its account along.
            cost = accounting.per_fix_us(before, stack.cpu(), len(made))
            cost["client"] = round((time.process_time() - own_s) / len(made) * 1e6, 2)
            return span_s, cost
        finally:
            await connection.close()

    span_s, cost = asyncio.run(run())
    return Figure(key, label, len(made) / span_s, "fixes/s", cpu_us=cost)
