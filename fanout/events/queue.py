"""What waits for a reader of events: all of it, up to a bound.

Of positions only the newest counts, so a slow socket gets that one. Of events each counts: they
wait in their order, and a reader that is too far behind is let go rather than skipped. Pure.
"""

from typing import Final

from fanout.sockets.outbox import Outbox

# Bytes that may wait for one reader: some 800 events. More than one that reads needs in the
# second in which a thousand visits end with their fence.
WAITING_BYTES_MAX: Final = 262_144


class EventQueue(Outbox):
    """An outbox that conflates nothing."""

    __slots__ = ("_bytes", "_waiting", "is_over")

    def __init__(self) -> None:
        super().__init__()
        # Whether more waited than may: the reader has missed something.
        self.is_over = False
        self._waiting: list[bytes] = []
        self._bytes = 0

    def offer(self, frame: bytes) -> bool:
        """Whether `frame` is to be written now; if not, it waits behind the others."""
        if not self.full:
            return True
        self._bytes += len(frame)
        if self._bytes > WAITING_BYTES_MAX:
            self.is_over = True
            self._waiting.clear()
        else:
            self._waiting.append(frame)
        return False

    def drain(self) -> bytes | None:
        """The socket has room again: the frames to write now, in one piece, if any waited."""
        self.full = False
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        return b"".join(waiting) or None
