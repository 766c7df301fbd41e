"""Follows the number of shards while the process runs: the one way in which roles look at it."""

from collections.abc import Callable

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, read_layouts
from common.redis.nodes import Nodes
from common.shards import Shards

# How often who writes to shards, or reads them, looks. `consumers.sharing.membership` waits for it.
LOOK_EVERY_S = 1.0


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
        self._nodes = nodes
        self._stream_name = stream_name
        self._adopt = adopt
        self.layouts = Layouts(Layout(shards))
        # Whether Redis was asked at all, and whether it knew anything when it was asked last.
        self.asked = self.kept = False

    async def look(self) -> Layouts:
        """Ask once. Raises `Overloaded` or `hiredis.ReplyError`; what was known stays then.

        It also stays when Redis has forgotten everything: what was written since lies there.
        """
        found = read_layouts(await self._nodes.key_wire(META).send("HMGET", META, *FIELDS))
        self.asked, self.kept = True, found is not None
        if found is not None and found != self.layouts:
            self.layouts = found
            self._adopt(self.read)
        return self.layouts

    @property
    def read(self) -> Shards:
        """The newest shards, and behind them those that they replace."""
        return Shards(self._stream_name, *self.layouts.newest, self.layouts.older)

    @property
    def before(self) -> Shards | None:
        """The shards that are not written any more."""
        before = self.layouts.before
        return Shards(self._stream_name, *before) if before is not None else None
