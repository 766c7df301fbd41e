"""A batch: the events of one page on their way into the table, until each has a verdict.

A row is at fault only with a witness: the table took another row after it had refused this one.
Without a witness nothing is known of the row, and the whole batch is kept and tried again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import SinkUnavailable
from common.stream.dead_letter import REFUSED, DeadLetter
from consumers.history.failure import Kind, kind_of
from consumers.history.isolate import RefusedRow, Store, store_others
from consumers.history.row import Row, rows_of
from consumers.history.table import RowsRefused
from consumers.stream.entry import PlacedEvent

# Between two tries of rows that were refused. Everybody behind them waits, so it is short: at
# 0.01 one percent of such rows cost more than half of the throughput.
RECORD_RETRY_PAUSE_S = 0.002


class TableRefusesAll(SinkUnavailable):
    """The table refuses rows of which nothing is wrong: somebody must look at it."""


class RowStore(Protocol):
    """What a batch needs of `HistoryTable`."""

    async def store(self, rows: Sequence[Row], *, possibly_stored: bool = False) -> int:
        """See there."""

    async def takes_a_row(self) -> bool:
        """See there."""


class Batch:
    """Rows of one page. `possibly_stored`: a predecessor may have stored some of them.

    `advanced` is called before each statement.
    """

    def __init__(
        self,
        events: Sequence[PlacedEvent],
        *,
        possibly_stored: bool,
        retries: int,
        advanced: Callable[[], None],
    ) -> None:
        self._events = events
        self._rows = rows_of(events)
        self._possibly_stored = possibly_stored
        self._retries = retries
        self._advanced = advanced
        # Refusals of unknown kind: of these rows, whatever else failed meanwhile.
        self._unknown_refusals = 0
        self._inserted = 0

    @property
    def repeats(self) -> int:
        """Events that were stored once although they came twice; after `store`."""
        return len(self._events) - self._inserted

    async def store(self, table: RowStore) -> list[DeadLetter]:
        """Store what the table takes; letters for the rest, in the order of the events.

        Raises `SinkUnavailable`: call it again.
        """
        if not self._rows:
            return []
        try:
            try:
                await self._store(table, self._rows)
            except RowsRefused as e:
                return self._letters(await self._isolate(table, e.error))
        except SinkUnavailable:
            # Some of it may be stored, or all: the outcome may be unknown.
            self._possibly_stored = True
            raise
        return []

    async def _store(self, table: RowStore, rows: Sequence[Row]) -> None:
        self._advanced()
        self._inserted += await table.store(rows, possibly_stored=self._possibly_stored)
        self._advanced()

    async def _isolate(self, table: RowStore, error: Exception) -> list[RefusedRow]:
        if kind_of(error) is Kind.UNKNOWN:
            self._unknown_refusals += 1
            if self._unknown_refusals < self._retries:
                raise SinkUnavailable(f"{type(error).__name__}: {error}") from error

        async def store(rows: Sequence[Row]) -> None:
            await self._store(table, rows)

        # Asked before, too: a table that refuses all would refuse thousands of rows one by one.
        await self._call_witness(table, error)
        refused = await store_others(store, self._rows, error)
        refused = await self._retry(refused, store)
        if refused:
            await self._call_witness(table, refused[-1].error)
        return refused

    async def _call_witness(self, table: RowStore, error: Exception) -> None:
        self._advanced()
        if not await table.takes_a_row():
            raise TableRefusesAll(
                f"the table refuses every row: {type(error).__name__}: {error}"
            ) from error

    async def _retry(self, refused: list[RefusedRow], store: Store) -> list[RefusedRow]:
        """Try each refused row again, alone; return those refused MAX_RETRIES times in all."""
        for _ in range(self._retries - 1):
            if not refused:
                break
            await asyncio.sleep(RECORD_RETRY_PAUSE_S)
            again = []
            for candidate in refused:
                try:
                    await store([candidate.row])
                except RowsRefused as e:
                    again.append(RefusedRow(candidate.row, e.error))
            refused = again
        return refused

    def _letters(self, refused: Sequence[RefusedRow]) -> list[DeadLetter]:
        errors = {r.row[:2]: r.error for r in refused}
        letters = []
        for placed in self._events if errors else ():
            event = placed.event
            error = errors.get((event.driver_id, event.recorded_at))
            if error is not None:
                letters.append(_letter(placed, error, self._retries))
        # No letter is a repeat.
        self._inserted += len(letters)
        return letters


def _letter(placed: PlacedEvent, error: Exception, attempts: int) -> DeadLetter:
    return DeadLetter(
        placed.position.name,
        placed.payload,
        placed.event.driver_id,
        REFUSED,
        f"{type(error).__name__}: {error}",
        getattr(error, "sqlstate", None) or "",
        attempts,
    )
