"""A batch into the history: stored but for what the database refuses, then acknowledged.

Each entry of the batch ends in one of three ways: its row is stored, its row was there already
(a conflict is counted if that row says something else), or it is dead-lettered.
"""

import asyncio
from collections.abc import Callable, Sequence

from common.dead_letter import REFUSED, DeadLetter
from common.errors import SinkUnavailable
from common.log import Repeated, get
from consumers.history.failure import Kind, kind_of
from consumers.history.isolate import Refused, Store, is_unavailable, store_others
from consumers.history.row import Row, conflicts_among, rows_of
from consumers.history.sink import Sink
from consumers.stream.counts import CONFLICTS, Counts
from consumers.stream.dead_letter import DeadLetters
from consumers.stream.entry import Entry
from consumers.stream.reader import Reader

# Between two tries of rows that were refused. Everybody behind them waits, so it is short: at
# 0.05 one percent of such rows cost more than half of the throughput.
RECORD_RETRY_PAUSE_S = 0.01


class BatchStore:
    """Stores and settles one batch at a time. `advance` is called before each try."""

    def __init__(
        self,
        sink: Sink,
        reader: Reader,
        dead: DeadLetters,
        counts: Counts,
        *,
        retries: int,
        advance: Callable[[], None],
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._dead = dead
        self._counts = counts
        self._retries = retries
        self._advance = advance
        self._conflict = Repeated(get("history"), "history.conflict")

    async def store(self, entries: Sequence[Entry], *, redelivered: bool, attempt: int) -> int:
        """Store and settle; returns how many were stored or there.

        `redelivered`: some may be stored already. `attempt`: failures of unknown kind so far.
        Raises `SinkUnavailable`, `Overloaded` or `hiredis.ReplyError`: the batch is unsettled.
        """
        rows, repeated = rows_of(entries)
        differing: list[Row] = []

        async def store(part: Sequence[Row]) -> None:
            self._advance()
            differing.extend(await self._sink.store(part, redelivered=redelivered))

        refused: list[Refused] = []
        try:
            await store(rows)
        except Exception as e:
            if is_unavailable(e):
                raise
            if kind_of(e) is Kind.UNKNOWN and attempt < self._retries:
                raise SinkUnavailable(f"{type(e).__name__}: {e}") from e
            refused = await store_others(store, rows, e)
        refused = await self._retry(refused, store)
        buried = await self._bury(refused, entries)
        self._advance()
        conflicts = conflicts_among(rows, repeated, differing, {one.row[:2] for one in refused})
        await self._reader.ack([e.id for e in entries if e.id not in buried], len(conflicts))
        if conflicts:
            driver_id, recorded_at = conflicts[0][:2]
            self._conflict.failed(
                entries=len(conflicts),
                total=self._counts.totals[CONFLICTS],
                driver=driver_id,
                recorded_at=recorded_at.isoformat(),
            )
        return len(entries) - len(buried)

    async def _retry(self, refused: list[Refused], store: Store) -> list[Refused]:
        """Try each refused row again, alone; return those refused MAX_RETRIES times in all."""
        for _ in range(self._retries - 1):
            if not refused:
                break
            await asyncio.sleep(RECORD_RETRY_PAUSE_S)
            again = []
            for one in refused:
                try:
                    await store([one.row])
                except Exception as e:
                    if is_unavailable(e):
                        raise
                    again.append(Refused(one.row, e))
            refused = again
        return refused

    async def _bury(self, refused: Sequence[Refused], entries: Sequence[Entry]) -> set[bytes]:
        """Dead-letter the entries of refused rows; returns their ids."""
        errors = {one.row[:2]: one.error for one in refused}
        letters = []
        for entry in entries if errors else ():
            error = errors.get((entry.event.driver_id, entry.event.recorded_at))
            if error is not None:
                letters.append(_letter(entry, error, self._retries))
        await self._dead.bury(letters)
        return {letter.entry_id for letter in letters}


def _letter(entry: Entry, error: Exception, attempts: int) -> DeadLetter:
    return DeadLetter(
        entry.id,
        entry.payload,
        entry.event.driver_id,
        REFUSED,
        f"{type(error).__name__}: {error}",
        getattr(error, "sqlstate", None) or "",
        attempts,
    )
