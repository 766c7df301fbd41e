"""The engine's turns: read a page of each stream, work it off, store what came of it.

A turn is one transaction for all streams, ten a second: so a fix is worked off a tenth of a second
after it came, in company, which makes it cheap. While there is more to read, turns follow each
other without a pause.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from common.log import get
from common.orders.order import Order
from consumers.places.engine import Engine, Surroundings
from consumers.places.fence_book import LOOK_EVERY_S as FENCES_EVERY_S
from consumers.places.fence_book import FenceBook
from consumers.places.order_follower import OrderFollower
from consumers.places.reader import StreamReader
from consumers.places.store import PlacesStore

# From the beginning of a turn to the next one's.
TURN_S = 0.1
# How often it is looked at what time alone brings about, and at gaps in the streams.
LOOK_EVERY_S = 1.0

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
        # How far each stream was read and stored.
        self.stored = dict(reader.through)
        self._look_at_s = self._fences_at_s = 0.0
        # Fixes that counted, and all.
        self.counted = self.fixes = 0

    async def turn(self) -> bool:
        """One turn. Whether more is waiting."""
        pages = await self._reader.read()
        now_s = time.monotonic()
        changed = await self._refresh(now_s)
        around = Surroundings(self._fences.index, self._orders.orders)
        found_at = datetime.now(UTC)
        fixes = {page.shard: page.fixes for page in pages if page.fixes}
        if fixes:
            self.counted += self._engine.apply(fixes, around, found_at)
            self.fixes += sum(map(len, fixes.values()))
        is_due = now_s >= self._look_at_s
        if changed or is_due:
            self._engine.look({page.shard: page.clock for page in pages}, around, found_at)
        read = [page.shard for page in pages if page.entries]
        moved = await self._store.write(self._engine, self._reader.through, read, found_at)
        self.stored.update(self._reader.through)
        if moved:
            await self._moved(moved)
        if is_due:
            self._look_at_s = now_s + LOOK_EVERY_S
            await self._count_gaps()
        return any(page.is_full for page in pages)

    async def _refresh(self, now_s: float) -> bool:
        """Learn of what has changed around the drivers; whether fences have."""
        await self._orders.refresh()
        if now_s < self._fences_at_s:
            return False
        self._fences_at_s = now_s + FENCES_EVERY_S
        return await self._fences.refresh(self._store.connection)

    async def _count_gaps(self) -> None:
        for shard in await self._reader.check():
            gaps = await self._store.count_gap(shard)
            _log.warning("places.gap", shard=shard, gaps=gaps)
