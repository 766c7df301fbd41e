"""How long a stream is kept for the places engine.

That engine reads every entry too, but acknowledges none: it says how far it has read
(`places:{T}`, see `consumers.places.reader`), for as long as it lives. The stream waits for it up
to a share of BACKLOG_MAX, and far less while Redis is nearly full; what is beyond is trimmed
unread, because positions and the history come first. The engine finds the gap by itself and counts
it.
"""

import hiredis

from common.keys import ShardKeys
from common.log import Repeated, get
from common.redis.wire import Wire
from common.stream.memory import read_memory
from common.stream.pack import EVENTS_MAX
from consumers.stream.entry import id_order, next_id, read_id

# Of BACKLOG_MAX, which is what a stream may hold at all: a database that was away for a while is
# caught up with, and a Redis that is made for a full backlog has room for it.
PLACES_SHARE = 0.25
# Redis is nearly full above this share of its limit: beyond 0.9 fixes are refused
# (`common.stream.memory`).
FULLNESS_MAX = 0.75
# Fixes that are kept all the same, about 3 MB: an engine that is seconds behind loses nothing.
KEPT_WHEN_FULL = 10_000
# What a fix takes in a stream.
FIX_BYTES = 300


class PlacesHold:
    """Decides for one stream where it is cut."""

    def __init__(self, wire: Wire, keys: ShardKeys, *, backlog_max: int) -> None:
        self._wire = wire
        self._keys = keys
        self._fixes_max = int(backlog_max * PLACES_SHARE)
        self._passed = Repeated(get("trim"), "trim.places_passed")

    async def cut(self, cut: bytes, waiting: int) -> bytes:
        """The id to cut before: `cut`, or earlier where the engine has not read so far.

        `waiting`: entries from `cut` on, about. Raises `Overloaded` or `hiredis.ReplyError`.
        """
        read = read_id(await self._wire.send("GET", self._keys.places))
        if read is None or id_order(wanted := next_id(read)) >= id_order(cut):
            self._passed.healed()
            return cut
        length = await self._wire.send("XLEN", self._keys.stream)
        kept = max(0, length - waiting)
        most = self._fixes_max
        if most > KEPT_WHEN_FULL and kept * EVENTS_MAX > KEPT_WHEN_FULL and await self._is_full():
            most = KEPT_WHEN_FULL
        if kept * EVENTS_MAX > most and await self._fixes(kept, length) > most:
            self._passed.failed(stream=self._keys.stream, read=read.decode(), entries=kept)
            return cut
        return wanted

    async def _is_full(self) -> bool:
        try:
            memory = read_memory(await self._wire.send("INFO", "memory"))
        except hiredis.ReplyError:
            # Not every server lets everybody ask: then BACKLOG_MAX alone decides.
            return False
        return memory.fullness > FULLNESS_MAX

    async def _fixes(self, kept: int, length: int) -> float:
        """Fixes in so many entries of the stream, by its size: Redis does not count them."""
        try:
            size = await self._wire.send("MEMORY", "USAGE", self._keys.stream)
        except hiredis.ReplyError:
            # Not every server lets everybody ask. A full pack in each is the most there can be.
            return float(kept * EVENTS_MAX)
        return (size or 0) / FIX_BYTES * kept / max(1, length)
