"""What waits for one socket: nothing while it takes frames, the newest frame while it is full.

A customer wants the newest position, not the history, so a slow socket is conflated: bytes
already handed to the kernel stay, of the frames after them only the last survives: of positions
the last, and beside it the last of what is said about them (an arrival), so that neither takes the
other's place. A session's memory is thus bounded by its kernel buffer and two frames. Pure: the
caller does the writing.
"""


class Outbox:
    """Decides, per frame, between writing now and keeping. `full` follows the transport."""

    __slots__ = ("beside", "conflated", "full", "held")

    def __init__(self) -> None:
        self.full = False
        self.held: bytes | None = None
        # The newest frame that goes beside it.
        self.beside: bytes | None = None
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

    def offer_beside(self, frame: bytes) -> bool:
        """As `offer`, for a frame that replaces no position."""
        if not self.full:
            return True
        if self.beside is not None:
            self.conflated += 1
        self.beside = frame
        return False

    def fill(self) -> None:
        """The socket took less than it was given."""
        self.full = True

    def drain(self) -> bytes | None:
        """The socket has room again: what to write now, if anything was kept."""
        self.full = False
        held, self.held = self.held, None
        beside, self.beside = self.beside, None
        return held if beside is None else (held or b"") + beside
