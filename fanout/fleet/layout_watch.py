"""Tells the operators' feed when the number of shards changes."""

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, read_layouts
from common.redis.nodes import Nodes
from common.shards import Shards
from fanout.fleet.feed import FleetFeed

# Ingest looks as often.
LOOK_EVERY_S = 1.0


class LayoutWatch:
    """Follows what Redis says. `shards`: what was set, which a first start writes there."""

    def __init__(self, nodes: Nodes, feed: FleetFeed, stream_name: str, shards: int) -> None:
        self._nodes = nodes
        self._feed = feed
        self._stream_name = stream_name
        self._set = Layouts(Layout(shards))
        self._layouts = self._set

    async def look(self) -> None:
        """Ask once. Raises `Overloaded` or `hiredis.ReplyError`."""
        asked = self._nodes.key_wire(META).send("HMGET", META, *FIELDS)
        layouts = read_layouts(await asked) or self._set
        if layouts != self._layouts:
            self._layouts = layouts
            self._feed.adopt(Shards(self._stream_name, *layouts.newest, layouts.older))
