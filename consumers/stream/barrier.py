"""Before a new layout's shard is read: all that older shards were given has been shown.

A driver's fixes lie in one shard of the older layout and go on in one of the new. Each of the
older streams is closed, so that Redis itself refuses whoever still writes to it, and keeps what
its newest entry was. Once the live cursors stand there, nothing can come behind what follows.
A shard waits only for those that its own drivers may come from: where 4 become 16, for one.
The history needs no such order: a row has an identity.
"""

from common.errors import Overloaded
from common.redis.layout_watch import LayoutReader
from common.redis.nodes import Nodes
from common.redis.wire import Command, Wire
from common.shards import Shard, Shards
from consumers.stream.entry import id_order, read_id
from consumers.stream.groups import START

# The last id of a stream that is closed: the greatest there is, so that none can follow it.
CLOSED_ID = b"18446744073709551615-18446744073709551615"


class Barrier:
    """Between a shard and the older ones that it goes on for, if there are any."""

    def __init__(self, nodes: Nodes, shards: Shards, index: int) -> None:
        self._nodes = nodes
        self._layouts = LayoutReader(nodes)
        self._older_epoch = shards.older.epoch if shards.older is not None else 0
        # Not known to be shown to their ends.
        self._left = list(shards.sources(index))

    async def is_open(self) -> bool:
        """Whether nothing older is left to be shown. Raises `Overloaded`, `hiredis.ReplyError`."""
        by_wire: dict[Wire, list[Shard]] = {}
        for shard in self._left:
            by_wire.setdefault(self._nodes.wire(shard), []).append(shard)
        for wire, part in by_wire.items():
            asked: list[Command] = []
            for shard in part:
                asked += (
                    ("GET", shard.keys.closed),
                    ("HGET", shard.keys.cursor, "id"),
                    ("XLEN", shard.keys.stream),
                )
            try:
                replies = iter(await wire.pipeline(asked))
            except Overloaded as e:
                # This shard's own server may be well: who reads the log must know which is not.
                names = ", ".join(shard.keys.stream for shard in part)
                raise Overloaded(f"older streams ({names}) have to be shown first: {e}") from e
            for shard, closed, cursor, length in zip(part, *[replies] * 3, strict=True):
                if is_shown(closed, cursor, length):
                    self._left.remove(shard)
        if self._left and await self._is_gone():
            self._left.clear()
        return not self._left

    async def _is_gone(self) -> bool:
        """Whether the older layout was removed: this worker is started again, long after that."""
        found = await self._layouts.read()
        if found is None:
            return False
        there = {layout.epoch for layout in (found.now, found.before) if layout is not None}
        return self._older_epoch not in there


def is_shown(closed: bytes | None, cursor: bytes | None, length: int) -> bool:
    """Whether a stream has an end and the live stage has read to it.

    An empty one was trimmed, which is done behind the live stage alone.
    """
    end = read_id(closed)
    return end is not None and (not length or id_order(read_id(cursor) or START) >= id_order(end))
