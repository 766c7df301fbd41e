"""The engine's turns: read a page of each stream, work it off, store what came of it.

There are ten a second: so a fix is worked off a tenth of a second after it came, in company, which
makes it cheap. While there is more to read, turns follow each other without a pause. What happened
is stored at once, in one transaction for all streams with how far they were read and what is known
then. Where nothing happened that waits for up to a second: a transaction costs both servers more
than the turn, and what is not stored is only read again.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import chain

from common.log import get
from common.orders.order import Order
from consumers.places.fence_book import LOOK_EVERY_S as FENCES_EVERY_S
from consumers.places.fence_book import FenceBook
from consumers.places.order_follower import OrderFollower
from consumers.places.reader import StreamReader
from consumers.places.rules.engine import Engine, Surroundings
from consumers.places.rules.left_out import LeftOutCounts
from consumers.places.store import PlacesStore

# From the beginning of a turn to the next one's.
TURN_S = 0.1
# How often it is looked at what time alone brings about, and at gaps in the streams.
LOOK_EVERY_S = 1.0
# How long it may wait to be stored that nothing happened. Streams are kept so much longer.
STORE_EVERY_S = 1.0
# A commit is on disk by then: PostgreSQL's `wal_writer_delay` is 0.2 s, and it takes three of them
# at most. Only then is it said that a stream may be trimmed: a database that crashes takes the
# last commits back, and what came of them is found out again.
ON_DISK_AFTER_S = 3.0

_log = get("places")


class PlacesTurns:
    """Works for some shards, on one connection to the database, until an exception ends it."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: PlacesStore,
        reader: StreamReader,
        fences: FenceBook,
        orders: OrderFollower,
        moved: Callable[[Sequence[Order]], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._store = store
        self._reader = reader
        self._fences = fences
        self._orders = orders
        self._moved = moved
        # How far each stream was read and stored on disk; and how far it was stored a while ago.
        self.stored = {shard: place.entry_id for shard, place in reader.places.items()}
        self._committed = dict(self.stored)
        self._on_disk_at_s = 0.0
        # Shards that were read since.
        self._unstored: set[int] = set()
        self._look_at_s = self._fences_at_s = self._store_at_s = 0.0
        # Fixes that counted, and all; and those that a rule could not take.
        self.counted = self.fixes = 0
        self.left_out = LeftOutCounts()

    async def turn(self) -> bool:
        """One turn. Whether more is waiting."""
        now_s = time.monotonic()
        is_due = now_s >= self._look_at_s
        missed: list[int] = []
        if is_due:
            self._look_at_s = now_s + LOOK_EVERY_S
            missed = await self._count_missed()
        pages = await self._reader.read()
        changed = await self._refresh(now_s)
        around = Surroundings(self._fences.index, self._orders.orders)
        found_at = datetime.now(UTC)
        fixes = {page.shard: page.fixes for page in pages if page.placed}
        if fixes:
            self.counted += self._engine.apply(fixes, around, found_at)
            self.fixes += sum(map(len, fixes.values()))
        if changed or is_due:
            self._engine.look({page.shard: page.clock for page in pages}, around, found_at)
        self._unstored.update(missed, (page.shard for page in pages if page.entries))
        if missed or self._engine.has_steps or now_s >= self._store_at_s:
            self._store_at_s = now_s + STORE_EVERY_S
            await self._write(now_s, found_at)
        left_out = [*self._engine.take_left_out(), *self._store.take_left_out()]
        self.left_out.note(left_out, chain.from_iterable(page.placed for page in pages))
        return any(page.is_full for page in pages)

    async def _write(self, now_s: float, found_at: datetime) -> None:
        places = self._reader.places
        moved = await self._store.write(self._engine, places, self._unstored, found_at)
        self._unstored.clear()
        if now_s >= self._on_disk_at_s:
            self._on_disk_at_s = now_s + ON_DISK_AFTER_S
            self.stored.update(self._committed)
            self._committed = {shard: place.entry_id for shard, place in places.items()}
        if moved:
            await self._moved(moved)

    async def _refresh(self, now_s: float) -> bool:
        """Learn of what has changed around the drivers; whether fences have."""
        await self._orders.refresh()
        if now_s < self._fences_at_s:
            return False
        self._fences_at_s = now_s + FENCES_EVERY_S
        return await self._fences.refresh(self._store.connection)

    async def _count_missed(self) -> list[int]:
        """Say what was trimmed before it was read, and of which shards."""
        missed = await self._reader.check()
        for shard, entries in missed.items():
            total = await self._store.count_missed(shard, entries)
            _log.warning("places.missed", shard=shard, entries=entries, total=total)
        return list(missed)
