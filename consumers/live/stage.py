"""The live stage: what comes into the stream is on the map and with its customers at once.

It reads the stream with a cursor of its own and shares nothing with the history but the stream:
a database that is slow or away delays nobody. What cannot be decoded is passed over here; the
history dead-letters it.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.backoff import Backoff
from common.log import Repeated, get
from common.redis.wire import Command, Reply
from consumers.live.drivers import DriverState
from consumers.live.orders import OrderState
from consumers.live.write import send_all
from consumers.stage_watch import StageWatch
from consumers.stream.cursor import LiveCursor
from consumers.stream.entry import Entry, PlacedEvent, decode_page, decode_part, entries_of
from consumers.stream.group_reader import REDIS_TROUBLE
from consumers.stream.page import ENTRIES_MAX, BatchLimits, PageCount, batches_of
from consumers.stream.poison.crash import Suspicion
from consumers.stream.poison.trial import trial_of

REDIS_BACKOFF = Backoff(first_s=0.05, most_s=1.0)
# Moves written in one piece when Redis takes state again: bounds how long it holds up Redis.
WRITE_AT_ONCE = 4000
# How often what Redis has refused is tried again.
REWRITE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """The settings that bound the stage."""

    fixes: int
    block_ms: int
    pause_s: float
    retries: int


class LiveSigns(NamedTuple):
    """What the stage calls: at each answer of Redis, and before it writes; see `Lease.confirm`.

    `watch` is told of pages, and of events that are on the map or are not to be.
    """

    advanced: Callable[[], None]
    confirm_lease: Callable[[], Awaitable[None]]
    watch: StageWatch


class LiveStage:
    """Reads and writes until it is stopped."""

    def __init__(
        self,
        cursor: LiveCursor,
        drivers: DriverState,
        orders: OrderState,
        limits: LiveLimits,
        signs: LiveSigns,
    ) -> None:
        self._cursor = cursor
        self._drivers = drivers
        self._orders = orders
        self._limits = limits
        self._batch_limits = BatchLimits(limits.fixes)
        self._count = PageCount(self._batch_limits)
        self._advanced, self._confirm_lease, self.watch = signs
        self._stopping = asyncio.Event()
        self._trouble = Repeated(get("live"), "live.redis_trouble")
        self._suspicion: Suspicion | None = None
        # In a backlog: the read that is under way while the last page is worked off.
        self._reading: asyncio.Future[Reply] | None = None
        self._rewrite_at_s = 0.0
        # Set once the first page is survived, or there was none: an entry that kills this stage
        # is then not blamed on the history's first page.
        self.begun = asyncio.Event()
        # How often the stage had to wait for Redis.
        self.troubles = 0

    def stop(self) -> None:
        """Work off what was read, then return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped. Raises `Fenced` when the shard is somebody else's."""
        attempt = 0
        while not self._stopping.is_set():
            self._advanced()
            try:
                await self._step()
            except REDIS_TROUBLE as e:
                self.troubles += 1
                self._trouble.failed(error=str(e))
                self._forget_reading()
                await self._pause(REDIS_BACKOFF.delay_s(attempt))
                attempt += 1
            else:
                attempt = 0
                self._trouble.healed()
        self._forget_reading()

    async def _step(self) -> None:
        suspicion = self._suspicion or await self._begin()
        await self._rewrite()
        asked = min(self._count.entries, suspicion.page_size)
        block_ms = self._limits.block_ms if self.begun.is_set() else 0
        reading = self._reading or self._read(self._cursor.through, asked, block_ms)
        self._reading = None
        page = entries_of(await reading)
        read_at = time.monotonic()
        self._advanced()
        self.watch.read()
        if page:
            await self._confirm_lease()
            await self._work_off_page(page, suspicion, asked)
        self.begun.set()
        if page and self._reading is None:
            # Too short for a stop to be waited for, and thousands a second.
            await asyncio.sleep(read_at + self._limits.pause_s - time.monotonic())

    async def _begin(self) -> Suspicion:
        begun = await self._cursor.load()
        self._suspicion = Suspicion(begun, ENTRIES_MAX)
        return self._suspicion

    def _read(self, after: bytes, count: int, block_ms: int) -> asyncio.Future[Reply]:
        return self._cursor.begin_read(after, count, block_ms)

    async def _work_off_page(self, page: Sequence[Entry], suspicion: Suspicion, asked: int) -> None:
        self._count.came(page)
        if suspicion.over:
            if len(page) * 2 > asked:
                self._reading = self._read(page[-1].id, self._count.entries, self._limits.block_ms)
            await self._work_off(page, survived=True)
            return
        if suspicion.on_trial:
            for entry in page:
                await self._try_in_parts(entry)
        else:
            if not suspicion.counted:
                suspicion.counted = True
                await self._cursor.count_begin()
            await self._work_off(page, survived=False)
        if suspicion.passed(len(page), asked):
            await self._cursor.clear_begun()

    async def _try_in_parts(self, entry: Entry) -> None:
        """Work off one entry, some places of its pack at a time, and give up what kills."""
        trial = trial_of(entry, self._cursor.trial, self._limits.retries)
        while not trial.is_over(entry.fixes):
            await self._cursor.begin_trial(trial)
            part = decode_part(entry, trial.begin, trial.end, self._cursor.killers)
            await self._write(part.events)
            trial = trial.survived(entry.fixes)
        await self._cursor.end_trial(trial, trial.killer_names(entry))

    async def _work_off(self, page: Sequence[Entry], *, survived: bool) -> None:
        for batch in batches_of(page, self._batch_limits):
            events = decode_page(batch, self._cursor.killers).events
            await self._write(events, through=batch[-1].id, survived=survived)

    async def _write(
        self, events: Sequence[PlacedEvent], through: bytes | None = None, *, survived: bool = False
    ) -> None:
        """Write what the events move. The cursor stands at `through` then."""
        await self._drivers.arm()
        await self._drivers.learn(events)
        self._advanced()
        refused = await self._orders.learn(events)
        self._advanced()
        drivers = self._drivers.decide(events)
        orders = self._orders.decide(events, refused)
        # From here on the moves are kept: a write that is lost is tried again from there.
        saving: list[Command] = []
        if through is not None:
            self._cursor.through = through
            saving.append(self._cursor.saving(through, survived=survived))
        writing = self._drivers.writing(drivers, *saving)
        await send_all([*([writing] if writing else []), *self._orders.writing(orders)])
        self._advanced()
        if not self._drivers.is_fenced:
            self._orders.undo()
            self._rewrite_at_s = 0.0
        self.watch.done(events)
        if restoring := self._orders.restoring():
            await send_all(restoring)
            self._advanced()

    async def _rewrite(self) -> None:
        """Write what Redis refused before, or what was lost with a connection, in pieces."""
        now_s = time.monotonic()
        if not self.unwritten or now_s < self._rewrite_at_s:
            return
        self._rewrite_at_s = now_s + REWRITE_EVERY_S
        # What waited for its server is decided, if that is back.
        self._orders.decide((), await self._orders.learn(()))
        await self._drivers.arm()
        before = self.unwritten + 1
        while 0 < self.unwritten < before:
            before = self.unwritten
            drivers = self._drivers.rewriting(WRITE_AT_ONCE)
            orders = self._orders.rewriting(WRITE_AT_ONCE)
            await send_all([*([drivers] if drivers else []), *orders])
            self._advanced()

    @property
    def unwritten(self) -> int:
        """Moves that Redis has not taken."""
        return self._drivers.unwritten + self._orders.unwritten

    def _forget_reading(self) -> None:
        """What a read brings that is under way would leave a gap: nothing was lost by reading."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
