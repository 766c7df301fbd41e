"""What waits for one socket: nothing while it takes frames, the newest frame while it is full.

A customer wants the newest position, not the history, so a slow socket is conflated: bytes
already handed to the kernel stay, of the frames after them only the last survives. A session's
memory is thus bounded by its kernel buffer and one frame. Pure: the caller does the writing.
"""


class Outbox:
    """Decides, per frame, between writing now and keeping. `full` follows the transport."""

    __slots__ = ("conflated", "full", "held")

    def __init__(self) -> None:
        self.full = False
        self.held: bytes | None = None
        # Frames that a newer one replaced before they could be written.
        self.conflated = 0

    def offer(self, frame: bytes) -> bool:
        """Whether `frame` is to be written now; if not, it is kept in place of an older one."""
        if not self.full:
            return True
        if self.held is not None:
            self.conflated += 1
        self.held = frame
        return False

    def fill(self) -> None:
        """The socket took less than it was given."""
        self.full = True

    def drain(self) -> bytes | None:
        """The socket has room again: the frame to write now, if one was kept."""
        self.full = False
        held, self.held = self.held, None
        return held
