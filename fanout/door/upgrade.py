"""From an accepted handshake to a WebSocket of picows.

picows would read the client's head itself and keep the buffer that grew with it for as long as
the socket lives. It is given the shortest head there is instead, and the frames that followed.
"""

import asyncio
import logging
from typing import Any, Final

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from common.log import get
from fanout.door.handshake import NewSocket

# Read buffer of an idle socket, in bytes. picows' default of 16 KiB doubles a socket's memory.
READ_BUFFER_BYTES: Final = 1_024
_HEAD: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
)


class Quiet(logging.LoggerAdapter[logging.Logger]):
    """picows logs several lines per connection; here strangers decide how many there are."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        """Nothing is worth formatting."""
        return False

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Say nothing, but a bug in a listener."""
        if kwargs.get("exc_info"):
            get("picows").error("listener.failed", detail=str(msg), exc_info=True)


_QUIET: Final = Quiet(logging.getLogger("picows"))


def upgrade(
    transport: asyncio.Transport, accepted: NewSocket, tail: bytes, message_bytes_max: int
) -> None:
    """Answer 101 on `transport` and hand it to picows; `tail` is what came behind the head."""
    extra = {"Sec-WebSocket-Protocol": accepted.subprotocol} if accepted.subprotocol else None
    response = WSUpgradeResponse.create_101_response(extra)
    answer = WSUpgradeResponseWithListener(response, accepted.listener)

    def listener_factory(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return answer

    protocol = WSProtocol(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=listener_factory,
        logger=_QUIET,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        # One wheel pings all sessions; and pongs are withheld from those who do not read.
        enable_auto_ping=False,
        auto_ping_idle_timeout=0,
        auto_ping_reply_timeout=0,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=False,
        max_frame_size=message_bytes_max,
        extra_headers=None,
        read_buffer_init_size=READ_BUFFER_BYTES,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    rest = memoryview(_HEAD % accepted.key.encode("ascii") + tail)
    while rest and not transport.is_closing():
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]
