"""One keep-alive HTTP/1.1 connection with one request in flight, as cheap as Python allows."""

import asyncio
import re
from collections.abc import Callable

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
# Called with the connection, the status as three digits, and the body.
Done = Callable[["Connection", bytes, bytes], None]


def response(data: bytes) -> tuple[bytes, bytes] | None:
    """Status and body if `data` holds a whole response. Pure."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end)
    if length is None:
        raise ValueError(f"no Content-Length: {data[:200]!r}")
    body_at = end + 4
    if len(data) < body_at + int(length[1]):
        return None
    return data[9:12], data[body_at:]


class Connection(asyncio.Protocol):
    """A connection; `done` is called for each answer, `gone` once when it is lost."""

    __slots__ = ("_buffer", "_done", "_gone", "_transport", "begun_s", "fixes")

    def __init__(self, done: Done, gone: Callable[["Connection"], None]) -> None:
        self._done = done
        self._gone = gone
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        # Of the request in flight: when it should have left, and what it holds.
        self.begun_s = 0.0
        self.fixes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, begun_s: float, fixes: int) -> None:
        """Send; the answer to the one before must have come."""
        self.begun_s = begun_s
        self.fixes = fixes
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        if self._buffer:
            data = self._buffer + data
        found = response(data)
        if found is None:
            self._buffer = data
            return
        self._buffer = b""
        self._done(self, *found)

    def connection_lost(self, exc: Exception | None) -> None:
        """What was in flight has an unknown outcome."""
        self._gone(self)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()
