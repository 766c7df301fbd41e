"""Reads which layouts of shards there are: the one way in which roles follow that number."""

from collections.abc import Callable

import hiredis

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, UnreadableLayout, read_layouts
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.shards import Shards

# How often who writes to shards, or reads them, looks; `consumers.sharing.membership` waits for it.
LOOK_EVERY_S = 1.0


class LayoutReader:
    """Asks for the layouts. What cannot be read is said once, and changes nothing."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: Layouts | None = None
        # Whether there ever was an answer that could be read.
        self.heard = False
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
            self.heard = True
            self._trouble.healed()
        return self._known


def _nobody(_shards: Shards) -> None:
    """Nobody is to be told."""


class LayoutWatch:
    """`shards` is what was set, which counts until Redis says something else.

    `adopt` is given the shards that are read from then on: the newest, with the older ones behind.
    """

    def __init__(
        self,
        nodes: Nodes,
        stream_name: str,
        shards: int,
        adopt: Callable[[Shards], None] = _nobody,
    ) -> None:
        self._reader = LayoutReader(nodes)
        self._stream_name = stream_name
        self._adopt = adopt
        self.layouts = Layouts(Layout(shards))
        # Whether Redis knew anything when it was asked last.
        self.kept = False

    async def look(self) -> Layouts:
        """Ask once. Raises `Overloaded` or `hiredis.ReplyError`; what was known stays then.

        It also stays when Redis has forgotten everything: what was written since lies there.
        """
        found = await self._reader.read()
        self.kept = found is not None
        if found is not None and found != self.layouts:
            self.layouts = found
            self._adopt(self.read)
        return self.layouts

    @property
    def heard(self) -> bool:
        """Whether Redis has ever said what there is, be it nothing."""
        return self._reader.heard

    @property
    def read(self) -> Shards:
        """The newest shards, and behind them those that they replace."""
        return Shards(self._stream_name, *self.layouts.newest, self.layouts.older)
