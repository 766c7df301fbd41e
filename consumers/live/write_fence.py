"""The fence around a shard's live state: what a writer sends that lost the shard changes nothing.

A lease alone cannot promise that. A process may be frozen, or cut off with its bytes under way,
between looking at its lease and its write. A worker that takes the shard adds to `fence:{T}` what
no other would (`consumers.stream.lease`); a writer watches that key from before its write to its
end, so Redis itself refuses the transaction of one that was replaced. The next watch leaves
together with the write, so that this costs no round trip.
"""

from collections.abc import Sequence

import hiredis

from common.errors import Overloaded
from common.redis.wire import Command, Reply, Wire
from consumers.stream.lease import Lease

_MULTI: Command = ("MULTI",)
_EXEC: Command = ("EXEC",)


class WriteFence:
    """Fences the writes on one connection, which nobody else may use for transactions."""

    def __init__(self, wire: Wire, key: str, lease: Lease) -> None:
        self._wire = wire
        self._lease = lease
        self._watch: tuple[Command, Command] = (("WATCH", key), ("GET", key))
        # The connection that watches the fence, by its number; 0: none does.
        self._watched_by = 0

    @property
    def is_armed(self) -> bool:
        """Whether a write sent now is fenced. A connection that is made anew watches nothing."""
        return bool(self._watched_by) and self._watched_by == self._wire.connections

    async def arm(self) -> None:
        """Watch the fence, and see that the shard is still ours. Before each write.

        Raises `Fenced` when it is not, `Overloaded` or `hiredis.ReplyError`.
        """
        while not self.is_armed:
            connection = self._wire.connections
            _, number = await self._wire.pipeline(self._watch)
            if (number or b"") != self._lease.fence:
                await self._lease.renew()
                continue
            self._watched_by = connection

    def around(self, commands: Sequence[Command]) -> list[Command]:
        """`commands` as one fenced piece. Raises `Overloaded` when it would not be fenced."""
        if not self.is_armed:
            raise Overloaded("the connection to Redis is a new one")
        return [_MULTI, *commands, _EXEC, *self._watch]

    def opened(self, replies: Sequence[Reply]) -> list[Reply] | None:
        """The replies to the commands; None when none was carried out: the shard was taken.

        Where Redis refused one of them beforehand all are that error: none was carried out.
        """
        *queued, done, _, number = replies
        if done is None or (number or b"") != self._lease.fence:
            self._watched_by = 0
        if done is None:
            return None
        if isinstance(done, hiredis.ReplyError):
            refused = next((r for r in queued if isinstance(r, hiredis.ReplyError)), done)
            return [refused] * (len(queued) - 1)
        return list(done)
