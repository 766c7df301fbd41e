"""What is to be stored about arrivals: the log of what was said, and that a driver is near.

It waits in memory while the database is away, bounded; live arrivals know nothing of it.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

import asyncpg

from common.events.happening import Happening
from common.events.record import record
from consumers.arrivals.database import ArrivalDatabase

# Ten minutes of 2,000 orders. Beyond that the oldest are dropped: a log with a hole is true.
ROWS_MAX = 20_000
# Happenings that wait; who comes later was told by the fence.
HAPPENINGS_MAX = 5_000
ROWS_AT_ONCE = 2_000
HAPPENINGS_AT_ONCE = 500
# What was said is kept for so long: accuracy of two weeks is what the fleet is like now.
KEPT_DAYS = 14
_DROPPED_AT_ONCE = 20_000
T = TypeVar("T")

_LOG = """
INSERT INTO arrival_log (
    order_id, minute, at, driver_id, method, model_s, remaining_s, low_s, high_s
)
SELECT * FROM unnest(
    $1::text[], $2::integer[], $3::timestamptz[], $4::text[], $5::text[],
    $6::real[], $7::real[], $8::real[], $9::real[]
)
ON CONFLICT DO NOTHING
"""
_DROP = """
DELETE FROM arrival_log WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM arrival_log WHERE at < now() - $1 * interval '1 day' LIMIT $2
))
"""


class LogRow(NamedTuple):
    """What was said of an order in a minute; the columns of `arrival_log`."""

    order_id: str
    minute: int
    at: datetime
    driver_id: str
    method: str
    model_s: float
    remaining_s: float
    low_s: float
    high_s: float


class Ledger:
    """`log` and `tell` wait for nothing; `flush` stores."""

    def __init__(self, database: ArrivalDatabase) -> None:
        self._database = database
        self._rows: deque[LogRow] = deque(maxlen=ROWS_MAX)
        self._happenings: deque[Happening] = deque(maxlen=HAPPENINGS_MAX)
        # Rows that found no room.
        self.dropped = 0

    def log(self, row: LogRow) -> None:
        """Keep a row for the next flush."""
        self.dropped += len(self._rows) == ROWS_MAX
        self._rows.append(row)

    def tell(self, happening: Happening) -> None:
        """Likewise something that happened."""
        self._happenings.append(happening)

    async def flush(self) -> None:
        """Store what waits. Raises `Overloaded`; then it waits on."""
        while told := list(islice(self._happenings, HAPPENINGS_AT_ONCE)):
            await self._database.run(partial(_record, told=told))
            _drop_first(self._happenings, told)
        while rows := list(islice(self._rows, ROWS_AT_ONCE)):
            await self._database.run(partial(_write, rows=rows))
            _drop_first(self._rows, rows)

    async def drop_old(self) -> None:
        """Drop some of the rows that are too old. Raises `Overloaded`."""
        await self._database.run(
            lambda connection: connection.execute(_DROP, KEPT_DAYS, _DROPPED_AT_ONCE)
        )


def _drop_first(waiting: deque[T], stored: Sequence[T]) -> None:
    """Drop what was stored; a full deque has dropped some of it meanwhile."""
    for item in stored:
        if waiting and waiting[0] is item:
            waiting.popleft()


async def _record(connection: asyncpg.Connection, told: Sequence[Happening]) -> None:
    async with connection.transaction():
        await record(connection, told)


async def _write(connection: asyncpg.Connection, rows: Sequence[LogRow]) -> None:
    await connection.execute(_LOG, *zip(*rows, strict=True))
