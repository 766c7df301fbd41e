"""Which layout of shards the engine follows while their number changes.

The older one to its end, then the new one, whose drivers it knows from the older one's. So a
driver's fixes are worked off in their order, and nobody comes online a second time.
"""

from typing import NamedTuple

import asyncpg

from common.layout import Layout
from common.redis.layout_watch import LayoutWatch
from common.redis.nodes import Nodes
from common.shards import Shard, Shards
from consumers.stream.entry import id_order, read_id
from consumers.stream.groups import START

_THROUGH = """
SELECT through FROM (
    (SELECT through FROM places_changes WHERE stream = $1 ORDER BY id DESC LIMIT 1)
    UNION ALL (SELECT through FROM places_streams WHERE stream = $1)
) AS stored LIMIT 1
"""


class Followed(NamedTuple):
    """`shards` are followed. `waiting` are kept until they are; `alone`: there are no others."""

    shards: Shards
    waiting: Shards | None = None
    alone: bool = False

    @property
    def layouts(self) -> tuple[Layout, bool]:
        """What is the same as long as nothing changes for who follows."""
        return self.shards.layout, self.waiting is not None


class LayoutFollower:
    """Looks at what there is. Raises what both servers' clients raise."""

    def __init__(self, nodes: Nodes, stream_name: str, shards: int) -> None:
        self._nodes = nodes
        self._watch = LayoutWatch(nodes, stream_name, shards)

    async def look(self, connection: asyncpg.Connection) -> Followed:
        """What is to be followed now."""
        await self._watch.look()
        found = self._watch.read
        newest, older = found.alone, found.older
        if older is None:
            return Followed(newest, alone=True)
        for shard in older:
            if not await self._is_done(connection, shard):
                return Followed(older, waiting=newest)
        return Followed(newest)

    async def _is_done(self, connection: asyncpg.Connection, shard: Shard) -> bool:
        """Whether a stream takes no more, and all that was in it is stored."""
        kept, length = await self._nodes.wire(shard).pipeline(
            [("GET", shard.keys.closed), ("XLEN", shard.keys.stream)]
        )
        closed = read_id(kept)
        if closed is None:
            return False
        # What was trimmed before it was read is not read any more.
        if not length:
            return True
        through = await connection.fetchval(_THROUGH, shard.keys.stream)
        return id_order((through or START.decode()).encode()) >= id_order(closed)
