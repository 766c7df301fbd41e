"""Tells a reader of positions when the number of shards changes."""

from collections.abc import Callable

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, read_layouts
from common.redis.nodes import Nodes
from common.shards import Shards

# Ingest looks as often.
LOOK_EVERY_S = 1.0


class LayoutWatch:
    """Follows what Redis says. `shards`: what was set, which a first start writes there.

    `adopt` is given the shards that are read from then on, with the older ones behind them.
    """

    def __init__(
        self, nodes: Nodes, stream_name: str, shards: int, adopt: Callable[[Shards], None]
    ) -> None:
        self._nodes = nodes
        self._stream_name = stream_name
        self._adopt = adopt
        self._set = Layouts(Layout(shards))
        self._layouts = self._set

    async def look(self) -> None:
        """Ask once. Raises `Overloaded` or `hiredis.ReplyError`."""
        asked = self._nodes.key_wire(META).send("HMGET", META, *FIELDS)
        layouts = read_layouts(await asked) or self._set
        if layouts != self._layouts:
            self._layouts = layouts
            self._adopt(Shards(self._stream_name, *layouts.newest, layouts.older))
