"""RFC 6455 as strict as it is written, on top of picows' core.

picows parses frames but leaves to its user: reserved bits, the order of fragments, UTF-8 (also
across fragments), close payloads and the close reply. They are all here, in one class that real
sessions and the conformance test's echo server share. 246 of Autobahn's 247 cases pass; the
other (7.1.2, a second close frame) is decided inside picows.
"""

import asyncio
import codecs
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from fanout.sockets.close_codes import INVALID_TEXT, PROTOCOL_ERROR, TOO_BIG, Close, may_be_received

TEXT: Final = WSMsgType.TEXT
BINARY: Final = WSMsgType.BINARY
CONTINUATION: Final = WSMsgType.CONTINUATION
PING: Final = WSMsgType.PING
PONG: Final = WSMsgType.PONG
CLOSE: Final = WSMsgType.CLOSE

# Between our close frame and the end of the connection after a fault, in seconds. Long enough
# that the frame is not overtaken by the reset that unread input causes; picows uses the same.
FAULT_LINGER_S: Final = 0.01

_Utf8 = codecs.getincrementaldecoder("utf-8")


def text_frame(payload: bytes) -> bytes:
    """A whole unmasked text frame, the same for every socket: framed once, written many times."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class StrictListener(WSListener):
    """Judges what a client sends. Subclasses say what a message is worth to them."""

    __slots__ = ("_decoder", "_opcode", "_size", "closing", "message_bytes_max", "transport")

    def __init__(self, message_bytes_max: int) -> None:
        self.transport: WSTransport | None = None
        # Whether a close frame has left; nothing may follow it.
        self.closing = False
        self.message_bytes_max = message_bytes_max
        # Of the message whose fragments are arriving: its type, its size so far, its decoder.
        self._opcode: WSMsgType | None = None
        self._size = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is done."""
        self.transport = transport

    def on_fragment(self, opcode: WSMsgType, payload: bytes, *, final: bool) -> None:
        """A valid part of a data message. Ignored unless a subclass wants it."""

    def on_heard(self) -> None:
        """Any valid frame came in: the client lives."""

    def on_closing(self, close: Close | None) -> None:
        """A close frame has left: ours with its row of the table, None for a reply."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Judge one frame."""
        kind = frame.msg_type
        if self.closing and kind != CLOSE:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fault(PROTOCOL_ERROR)
        elif kind == PONG:
            self.on_heard()
        elif kind == PING:
            self.on_heard()
            self.pong(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            self._on_close(transport, frame.get_payload_as_bytes())
        else:
            self.on_heard()
            self._on_data(kind, frame)

    def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        if self.transport is not None:
            self.transport.send_pong(payload)

    def _on_data(self, kind: WSMsgType, frame: WSFrame) -> None:
        # A continuation needs a message to continue; a new message needs the last one finished.
        if (kind == CONTINUATION) != (self._opcode is not None):
            return self.fault(PROTOCOL_ERROR)
        opcode = kind if self._opcode is None else self._opcode
        self._size += frame.payload_size
        if self._size > self.message_bytes_max:
            return self.fault(TOO_BIG)
        payload = frame.get_payload_as_bytes()
        final = bool(frame.fin)
        if opcode == TEXT and not self._is_utf8(payload, final=final):
            return self.fault(INVALID_TEXT)
        self._opcode = None if final else opcode
        if final:
            self._size = 0
            self._decoder = None
        return self.on_fragment(opcode, payload, final=final)

    def _is_utf8(self, payload: bytes, *, final: bool) -> bool:
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = _Utf8("strict")
        try:
            decoder.decode(payload, final)
        except UnicodeDecodeError:
            return False
        return True

    def _on_close(self, transport: WSTransport, payload: bytes) -> None:
        if not self.closing:
            code = int.from_bytes(payload[:2], "big")
            # picows has refused a payload of one byte and a reason that is not UTF-8.
            if payload and not may_be_received(code):
                return self.fault(PROTOCOL_ERROR)
            self.closing = True
            # Send back the code alone: a reason of ours would say nothing new.
            transport.send(CLOSE, payload[:2])
            self.on_closing(None)
        # Ours was answered, or theirs is: RFC 6455 wants the server to end the connection.
        return transport.disconnect()

    def fault(self, close: Close) -> None:
        """The client broke the protocol: close, without waiting for its answer."""
        if self.close(close) and self.transport is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(FAULT_LINGER_S, self.transport.disconnect)

    def close(self, close: Close) -> bool:
        """Send our close frame; the answer ends the connection. False if one had left."""
        if self.closing or self.transport is None:
            return False
        self.closing = True
        # Any number is taken; the stub knows only RFC 6455's.
        self.transport.send_close(close.code, close.reason)  # type: ignore[arg-type]
        self.on_closing(close)
        return True
