"""Before a new layout's shard is read: all that older shards were given has been shown.

A driver's fixes lie in one shard of the older layout and go on in one of the new. Each of the
older streams is closed, so that Redis itself refuses whoever still writes to it, and keeps what
its newest entry was. Once every live cursor stands there, nothing can come behind what follows.
The history needs no such order: a row has an identity.
"""

from collections.abc import Sequence

from common.redis.nodes import Nodes
from common.redis.wire import Command, Wire
from common.shards import Shard, Shards
from consumers.stream.entry import id_order, read_id
from consumers.stream.groups import START


class Barrier:
    """Between the shards `older`, None where there are none, and those that replace them."""

    def __init__(self, nodes: Nodes, older: Shards | None) -> None:
        self._nodes = nodes
        self._older = older

    async def is_open(self) -> bool:
        """Whether nothing older is left to be shown. Raises `Overloaded`, `hiredis.ReplyError`."""
        if self._older is None:
            return True
        by_wire: dict[Wire, list[Shard]] = {}
        for shard in self._older:
            by_wire.setdefault(self._nodes.wire(shard), []).append(shard)
        for wire, part in by_wire.items():
            asked: list[Command] = []
            for shard in part:
                asked += (("GET", shard.keys.closed), ("HGET", shard.keys.cursor, "id"))
            replies = await wire.pipeline(asked)
            if not all(map(is_shown, replies[::2], replies[1::2])):
                return False
        self._older = None
        return True


def is_shown(closed: bytes | None, cursor: bytes | None) -> bool:
    """Whether the live stage has read a stream to its end, and it has one."""
    end = read_id(closed)
    return end is not None and id_order(read_id(cursor) or START) >= id_order(end)


def unshown(facts: Sequence[tuple[bytes | None, bytes | None]]) -> int:
    """How many streams, by their ends and cursors, are not closed or not read to their ends."""
    return sum(not is_shown(closed, cursor) for closed, cursor in facts)
