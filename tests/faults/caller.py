"""A keep-alive HTTP connection that knows what it does not know: an answer, or none."""

import asyncio
import json
import time
from typing import Any, NamedTuple

TIMEOUT_S = 5.0


class Answer(NamedTuple):
    """Status and decoded body, and how long it took in seconds."""

    status: int
    body: Any
    took_s: float


class Caller:
    """One connection, made again after any trouble."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: object) -> Answer | None:
        """Send once. None: whether it arrived is unknown."""
        raw = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(raw)}\r\n\r\n"
        )
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, answer = await self._exchange(head.encode() + raw)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            self.close()
            return None
        return Answer(status, answer, time.monotonic() - began_s)

    async def _exchange(self, request: bytes) -> tuple[int, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        raw = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), json.loads(raw) if raw else None

    def close(self) -> None:
        """Reset it."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
