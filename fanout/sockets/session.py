"""One watcher's socket. It is given whole frames; it never waits and never queues more than one.

A session knows nothing of Redis: the hub (or the fleet feed) offers frames, the sessions' wheel
pings it and looks after its deadlines.
"""

import asyncio
from typing import Final, Protocol

from picows import WSTransport

from common.access.policy import Principal
from fanout.sockets.close_codes import NOT_ALLOWED, TRACKING_ENDED, TRY_LATER, Close
from fanout.sockets.outbox import Outbox
from fanout.sockets.protocol import StrictListener

# Frames a client may send between two pings: forty a second is no client of ours.
INBOUND_FRAMES_MAX: Final = 1_000
# Bytes that may lie unsent in the kernel before a socket counts as full. Small, so that a slow
# link skips to the newest position instead of being shown a minute of old ones first.
UNSENT_BYTES_MAX: Final = 16_384


class Owner(Protocol):
    """Who keeps count of a session: `sessions.Sessions`."""

    def opened(self, session: "Session") -> None:
        """The upgrade is done."""

    def closed(self, session: "Session") -> None:
        """The connection is gone."""

    def filled(self, session: "Session") -> None:
        """The socket took less than it was given."""

    def drained(self, session: "Session") -> None:
        """The socket has room again."""

    def closing(self, session: "Session", close: Close | None) -> None:
        """A close frame has left."""


class Watch(Protocol):
    """What a session is for; see `watches`."""

    def begin(self, session: "Session") -> None:
        """The upgrade is done: frames may be offered from now on."""

    def end(self, session: "Session") -> None:
        """The connection is gone."""


class Session(StrictListener):
    """A socket with an outbox."""

    __slots__ = (
        "_ending",
        "_owner",
        "_socket",
        "_watch",
        "awaiting_pong",
        "holder",
        "inbound_frames",
        "outbox",
        "principal",
        "slot",
    )

    def __init__(
        self,
        owner: Owner,
        watch: Watch,
        inbound_bytes_max: int,
        holder: str | None = None,
        principal: Principal | None = None,
    ) -> None:
        super().__init__(inbound_bytes_max)
        self._owner = owner
        self._watch = watch
        self._socket: asyncio.Transport | None = None
        self._ending = False
        # The token or address that its place counts against; see `places`.
        self.holder = holder
        # Who it is, when it came in with a token or key; see `token_sessions`.
        self.principal = principal
        self.outbox = Outbox()
        # For the wheel: the slot it is pinged in, whether it owes a pong, frames since then.
        self.slot = 0
        self.awaiting_pong = False
        self.inbound_frames = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is done: from here on frames may be offered."""
        super().on_ws_connected(transport)
        self._socket = transport.underlying_transport
        # Nothing may gather in user space: the transport says "full" with its first byte.
        self._socket.set_write_buffer_limits(high=0)
        # Nobody reads them again, and picows would keep them for as long as the socket lives.
        transport.request.headers.clear()
        transport.response.headers.clear()
        self._owner.opened(self)
        self._watch.begin(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone, however it went."""
        self.closing = True
        self._owner.closed(self)
        self.transport = None
        self._socket = None
        self._watch.end(self)

    def offer(self, frame: bytes) -> None:
        """Write a whole frame, or keep it as the newest while the socket is full."""
        if self.outbox.offer(frame) and not self.closing and self._socket is not None:
            self._socket.write(frame)

    def offer_beside(self, frame: bytes) -> None:
        """Likewise a frame that does not take the place of a position."""
        if self.outbox.offer_beside(frame) and not self.closing and self._socket is not None:
            self._socket.write(frame)

    def end(self, frame: bytes) -> None:
        """Offer the last frame, and close once it is written."""
        self.outbox.beside = None
        self.offer(frame)
        self._ending = True
        if not self.outbox.full:
            self.close(TRACKING_ENDED)

    def postpone(self) -> None:
        """Close: what it came for cannot be had now."""
        self.close(TRY_LATER)

    def pause_writing(self) -> None:
        """Called by the transport: the socket is full."""
        self.outbox.fill()
        self._owner.filled(self)

    def resume_writing(self) -> None:
        """Called by the transport: there is room again."""
        self._owner.drained(self)
        held = self.outbox.drain()
        if held is not None:
            self.offer(held)
        if self._ending and not self.outbox.full:
            self.close(TRACKING_ENDED)

    def waiting_bytes(self) -> int:
        """Bytes in user space that the kernel has not taken."""
        return 0 if self._socket is None else self._socket.get_write_buffer_size()

    def ping(self) -> None:
        """Ask whether the client lives. A full socket is judged by its stall instead."""
        self.inbound_frames = 0
        if not self.outbox.full and not self.closing and self.transport is not None:
            self.awaiting_pong = True
            self.transport.send_ping()

    def pong(self, payload: bytes) -> None:
        """Answer a ping, unless the client does not take what it has already."""
        if not self.outbox.full:
            super().pong(payload)

    def on_heard(self) -> None:
        """Any frame proves that the client lives; too many are a flood."""
        self.awaiting_pong = False
        self.inbound_frames += 1
        if self.inbound_frames > INBOUND_FRAMES_MAX:
            self.fault(NOT_ALLOWED)

    def on_closing(self, close: Close | None) -> None:
        """Tell the owner, who ends the connection if the client does not."""
        self._owner.closing(self, close)

    def abort(self) -> None:
        """End the connection now, dropping what waits."""
        self.closing = True
        if self.transport is not None:
            self.transport.disconnect(False)
