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
from common.dead_letter import CRASHED, DeadLetter, driver_in
from common.errors import SinkUnavailable
from common.log import Repeated, get
from consumers.history.ledger import Ledger
from consumers.history.sink import Sink
from consumers.history.store import BatchStore
from consumers.live.stage import Live
from consumers.progress import Progress
from consumers.stream.catch_up import is_killer, page_size
from consumers.stream.counts import ENTRIES_LOST, Counts
from consumers.stream.dead_letter import DeadLetters
from consumers.stream.decode import decode_entries
from consumers.stream.entry import Entry, id_order
from consumers.stream.reader import REDIS_TROUBLE, Reader

# An outage may last minutes; half-second retries notice its end soon and cost nothing.
DATABASE_BACKOFF = Backoff(first_s=0.1, most_s=1.0)
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
        counts: Counts,
        limits: HistoryLimits,
        progress: Progress,
        confirm: Callable[[], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._reader = reader
        self._live = live
        self._dead = dead
        self._counts = counts
        self._limits = limits
        self._progress = progress
        # Raises when the shard is somebody else's: before live state is written from a page.
        self._confirm = confirm
        self._in_hand = 0
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._log = get("history")
        self._trouble = Repeated(self._log, "history.waiting")
        self._attempt = 0
        # Entries up to this id may be stored already: by a predecessor, or by an attempt whose
        # outcome is unknown. They go through the staging table; a collision would cost more.
        self._doubtful = (0, 0)
        self.stored = 0
        self._batches = BatchStore(
            sink,
            reader,
            dead,
            counts,
            retries=limits.retries,
            advance=lambda: progress.tick("history"),
        )

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

    @property
    def held(self) -> int:
        """Entries in memory, not counting a page of pending ones."""
        return self._ledger.held + self._in_hand

    def pending_lost(self) -> None:
        """Redis has forgotten what it had delivered: what is held in memory is stored all the same.

        It needs nobody to be acknowledged to. Unless the memory must be let go of later: a loss.
        """
        self._ledger.pending_lost()
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
            self._say_lost()

    async def step(self) -> None:
        """One batch, from memory or from the pending list."""
        if self._ledger.behind:
            await self._store_page()
        elif entries := await self._collect():
            self._in_hand = len(entries)
            try:
                await self._hold_and_store(entries)
            finally:
                self._in_hand = 0

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
                    self._ledger.give_up(entries)
                    raise
                await self._back_off(e)
                self._progress.tick("history")
            else:
                self._healed()
                return
        self._ledger.give_up(entries)

    def _say_lost(self) -> None:
        if lost := self._ledger.orphans_lost():
            self._counts.add(ENTRIES_LOST, lost)
            self._log.error("entries.lost", count=lost, why="in memory only, and let go of")

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
            letter = DeadLetter(raw.id, payload, driver_in(payload), CRASHED, error)
            await self._dead.bury([letter])
            self._ledger.paged_through = raw.id

    async def _store(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        redelivered = id_order(entries[0].id) <= self._doubtful
        settled, self._doubtful = self._doubtful, id_order(entries[-1].id)
        self.stored += await self._batches.store(
            entries, redelivered=redelivered, attempt=self._attempt
        )
        self._doubtful = settled

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
