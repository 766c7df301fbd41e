"""Reads which layouts of shards there are, and tells a reader of positions when that changes."""

from collections.abc import Callable

import hiredis

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, UnreadableLayout, read_layouts
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.shards import Shards

# Ingest looks as often.
LOOK_EVERY_S = 1.0


class LayoutReader:
    """Asks for the layouts. What cannot be read is said once, and changes nothing."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: Layouts | None = None
        self._trouble = Repeated(get("layout"), "layout.unreadable")

    async def read(self) -> Layouts | None:
        """Those of now, or that were read last; None where nothing was started yet.

        Raises `Overloaded` or `hiredis.ReplyError`.
        """
        try:
            fields = await self._nodes.key_wire(META).send("HMGET", META, *FIELDS)
            self._known = read_layouts(fields)
        except hiredis.ReplyError as e:
            if not str(e).startswith("WRONGTYPE"):
                raise
            self._trouble.failed(error=str(e))
        except UnreadableLayout as e:
            self._trouble.failed(error=str(e))
        else:
            self._trouble.healed()
        return self._known


class LayoutWatch:
    """Follows what Redis says. `shards`: what was set, which a first start writes there.

    `adopt` is given the shards that are read from then on, with the older ones behind them.
    """

    def __init__(
        self, nodes: Nodes, stream_name: str, shards: int, adopt: Callable[[Shards], None]
    ) -> None:
        self._reader = LayoutReader(nodes)
        self._stream_name = stream_name
        self._adopt = adopt
        self._set = Layouts(Layout(shards))
        self._layouts = self._set

    async def look(self) -> None:
        """Ask once. Raises `Overloaded` or `hiredis.ReplyError`."""
        layouts = await self._reader.read() or self._set
        if layouts != self._layouts:
            self._layouts = layouts
            self._adopt(Shards(self._stream_name, *layouts.newest, layouts.older))
