"""The history stage: batches go into the database; only after the commit are they acknowledged.

While the database is away it waits and tries again, for ever and without counting: an outage
dead-letters nothing. The ledger decides whether entries come from memory or from the pending
list; either way an entry leaves the pending list only by being stored or by being dead-lettered.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from common.backoff import Backoff
from common.errors import SinkUnavailable
from common.log import Repeated, get
from consumers.catch_up import is_killer, page_size
from consumers.dead_letter import CRASHED, REFUSED, DeadLetters, Letter, driver_in
from consumers.decode import decode_entries
from consumers.entry import Entry, id_order
from consumers.failure import Kind, kind_of
from consumers.isolate import Refused, Store, is_unavailable, store_others
from consumers.ledger import Ledger
from consumers.live import Live
from consumers.progress import Progress
from consumers.reader import REDIS_TROUBLE, Reader
from consumers.row import Row, rows_of
from consumers.sink import Sink

# An outage may last minutes; half-second retries notice its end soon and cost nothing.
DATABASE_BACKOFF = Backoff(first_s=0.1, most_s=1.0)
# Between two tries of rows that were refused. Everybody behind them waits, so it is short: at
# 0.05 one percent of such rows cost more than half of the throughput.
RECORD_RETRY_PAUSE_S = 0.01
# Longest pause of the live loop for a history that keeps up but is busy; see `room`.
ROOM_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """The settings that bound the stage."""

    rows: int
    linger_s: float
    retries: int


class History:
    """Stores what the ledger holds, until stopped."""

    def __init__(  # noqa: PLR0917
        self,
        ledger: Ledger,
        sink: Sink,
        reader: Reader,
        live: Live,
        dead: DeadLetters,
        limits: HistoryLimits,
        progress: Progress,
        confirm: Callable[[], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._reader = reader
        self._live = live
        self._dead = dead
        self._limits = limits
        self._progress = progress
        # Raises when the shard is somebody else's: before live state is written from a page.
        self._confirm = confirm
        self._in_hand = False
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._trouble = Repeated(get("history"), "history.waiting")
        self._attempt = 0
        # Entries up to this id may be stored already: by a predecessor, or by an attempt whose
        # outcome is unknown. They go through the staging table; a collision would cost more.
        self._doubtful = (0, 0)
        self.stored = 0

    def offer(self, batch: Sequence[Entry]) -> None:
        """Take a batch the live stage is done with."""
        self._ledger.offer(batch)
        self._changed.set()

    async def room(self) -> None:
        """Wait a moment if the ledger is full: cheaper than to let go of it and read it again.

        Only a moment, and not at all while behind: a database that is slow or away never holds
        up the live loop.
        """
        if self._ledger.full:
            self._taken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOM_WAIT_S):
                    await self._taken.wait()

    def fall_behind(self) -> None:
        """Entries may have been delivered that nobody saw: read the pending list again."""
        self._ledger.fall_behind()
        self._changed.set()

    def stop(self) -> None:
        """Nothing more will be offered: store what is held, then return from `run`."""
        self._stopping.set()
        self._changed.set()

    async def begin(self) -> None:
        """Find out what a predecessor left pending; without it there is nothing to catch up with.

        To be called before anything new is read.
        """
        self._doubtful = await self._reader.last_delivered()
        if not await self._reader.deliveries():
            self._ledger.keep_up()

    async def run(self) -> None:
        """Store until stopped. What cannot be stored by then stays pending in Redis."""
        with contextlib.suppress(SinkUnavailable):
            # A database that is set wrong is found out now, not at the first row.
            await self._sink.ensure()
        while not (self._stopping.is_set() and (self._ledger.behind or not self._ledger.held)):
            self._progress.tick("history")
            try:
                await self.step()
            except (SinkUnavailable, *REDIS_TROUBLE) as e:
                # Nothing is lost: what was in hand is pending, and is read again.
                self._ledger.fall_behind()
                await self._back_off(e)

    async def step(self) -> None:
        """One batch, from memory or from the pending list."""
        if self._ledger.behind:
            await self._store_page()
        elif entries := await self._collect():
            self._in_hand = True
            try:
                await self._hold_and_store(entries)
            finally:
                self._in_hand = False

    @property
    def idle(self) -> bool:
        """Whether it believes that nothing is pending."""
        return not (self._ledger.behind or self._ledger.held or self._in_hand)

    async def _collect(self) -> list[Entry]:
        """Wait for a full batch, but let no row linger."""
        await self._wait_held(1, timeout_s=1.0)
        if self._ledger.held:
            await self._wait_held(self._limits.rows, timeout_s=self._limits.linger_s)
        self._taken.set()
        return self._ledger.take(self._limits.rows)

    async def _wait_held(self, rows: int, timeout_s: float) -> None:
        """Wait until `rows` are held, the ledger falls behind, the stage stops, or time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not (self._ledger.held >= rows or self._interrupted()):
                    self._changed.clear()
                    await self._changed.wait()

    def _interrupted(self) -> bool:
        return self._ledger.behind or self._stopping.is_set()

    async def _hold_and_store(self, entries: Sequence[Entry]) -> None:
        """Store a batch from memory; while the database is away keep it as long as there is room.

        A short outage then costs no re-read. It gives up (and the batch is pending) when the
        ledger had to let go, or when the worker stops.
        """
        while not self._ledger.behind:
            try:
                await self._store(entries)
            except SinkUnavailable as e:
                if self._stopping.is_set():
                    raise
                await self._back_off(e)
                self._progress.tick("history")
            else:
                self._healed()
                return

    async def _store_page(self) -> None:
        await self._sink.ensure()
        after = self._ledger.paged_through
        deliveries = await self._reader.deliveries(after)
        size = page_size(deliveries, self._limits.rows)
        if is_killer(deliveries, self._limits.retries):
            await self._bury_killer(after)
            return
        self._ledger.begin_page()
        page = await self._reader.read_own(size, after)
        try:
            entries = await decode_entries(page, self._reader, self._dead)
            await self._confirm()
            await self._live.apply(entries)
            await self._store(entries)
        except (SinkUnavailable, *REDIS_TROUBLE):
            with contextlib.suppress(*REDIS_TROUBLE):
                await self._reader.forgive([e.id for e in page])
            raise
        self._healed()
        self._ledger.end_page(page[-1].id if page else None, full=len(page) >= size)

    async def _bury_killer(self, after: bytes) -> None:
        for raw in await self._reader.read_own(1, after):
            payload = raw.payload or b""
            error = "the worker died each time it was in its hands"
            letter = Letter(raw.id, payload, driver_in(payload), CRASHED, error, "", 0)
            await self._dead.bury([letter])
            self._ledger.paged_through = raw.id

    async def _store(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        rows = rows_of(entries)
        redelivered = id_order(entries[0].id) <= self._doubtful
        settled, self._doubtful = self._doubtful, id_order(entries[-1].id)

        async def store(part: Sequence[Row]) -> None:
            self._progress.tick("history")
            await self._sink.store(part, redelivered=redelivered)

        refused: list[Refused] = []
        try:
            await store(rows)
        except Exception as e:
            if is_unavailable(e):
                raise
            if kind_of(e) is Kind.UNKNOWN and self._attempt < self._limits.retries:
                raise SinkUnavailable(f"{type(e).__name__}: {e}") from e
            refused = await store_others(store, rows, e)
        refused = await self._retry(refused, store)
        buried = await self._bury(refused, entries)
        self._progress.tick("history")
        await self._reader.ack([e.id for e in entries if e.id not in buried])
        self._doubtful = settled
        self.stored += len(entries) - len(buried)

    async def _retry(self, refused: list[Refused], store: Store) -> list[Refused]:
        """Try each refused row again, alone; return those refused MAX_RETRIES times in all."""
        for _ in range(self._limits.retries - 1):
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
                letters.append(_refused_letter(entry, error, self._limits.retries))
        await self._dead.bury(letters)
        return {letter.entry_id for letter in letters}

    async def _back_off(self, error: Exception) -> None:
        self._trouble.failed(error=str(error), attempt=self._attempt)
        delay_s = DATABASE_BACKOFF.delay_s(self._attempt)
        self._attempt += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()

    def _healed(self) -> None:
        self._attempt = 0
        self._trouble.healed()


def _refused_letter(entry: Entry, error: Exception, attempts: int) -> Letter:
    return Letter(
        entry.id,
        entry.payload,
        entry.event.driver_id,
        REFUSED,
        f"{type(error).__name__}: {error}",
        getattr(error, "sqlstate", None) or "",
        attempts,
    )
