"""The fixes of one shard that are settled: counted with each acknowledgement, and put right.

What waits in fixes is what was added less what is settled, see `common.stream.backlog`.
"""

from collections.abc import Sequence
from importlib.resources import files

import hiredis

from common.keys import ShardKeys
from common.redis.wire import Command, Wire, is_full

_ACK = files(__package__).joinpath("ack.lua").read_text()
_EVEN = files(__package__).joinpath("even.lua").read_text()


def acknowledging(keys: ShardKeys, group: str, ids: Sequence[bytes], fixes: int) -> Command:
    """The command that acknowledges entries which hold so many fixes. May be sent twice."""
    return ("EVAL", _ACK, 2, keys.stream, keys.counts, group, fixes, *ids)


class SettledFixes:
    """Keeps the totals of one shard in step with its stream."""

    def __init__(self, wire: Wire, keys: ShardKeys, *, groups: Sequence[str]) -> None:
        self._wire = wire
        self._question: Command = ("EVAL", _EVEN, 2, keys.stream, keys.counts, *groups)

    async def even_out(self) -> None:
        """Make both totals equal when nothing waits. Raises `Overloaded` or `hiredis.ReplyError`.

        A full Redis gets them once there is room.
        """
        try:
            await self._wire.send(*self._question)
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise
