"""A small WebSocket client for tests: it sees raw frames and close codes, and can misbehave."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

ORDER_PATH = "/api/v1/drivers/orders/{}/driver-location"


class Refused(Exception):
    """The handshake was answered with plain HTTP."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"{status}: {body[:200]!r}")
        self.status = status
        self.headers = headers
        self.body = body


class Closed(Exception):
    """The connection is over; `code` is None without a close frame."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Client:
    """One socket. Reads only when asked, so not reading is a way to be slow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.answer_pings = True
        self.pings = 0

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises `Closed` at the end of the stream."""
        try:
            head = await self.reader.readexactly(2)
            size = head[1] & 0x7F
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return head[0] & 0x0F, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as e:
            raise Closed(None) from e

    async def text(self) -> bytes:
        """The next text message. Raises `Closed` with the code of a close frame."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 1:
                return payload
            if opcode == 9:
                self.pings += 1
                if self.answer_pings:
                    self.send(10, payload)
            if opcode == 8:
                self.send(8, payload[:2])
                raise Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())

    async def json(self, timeout_s: float = 5.0) -> Any:
        """The next text message, decoded."""
        async with asyncio.timeout(timeout_s):
            return orjson.loads(await self.text())

    async def closed(self, timeout_s: float = 5.0) -> Closed:
        """Read until the end; what ended it."""
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    await self.text()
                except Closed as e:
                    self.abort()
                    return e

    def send(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send a masked frame."""
        mask = os.urandom(4)
        size = len(payload)
        head = bytes((opcode | (0x80 if fin else 0),))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 65_536:
            head += b"\xfe" + size.to_bytes(2, "big")
        else:
            head += b"\xff" + size.to_bytes(8, "big")
        pad = mask * (size // 4 + 1)
        body = bytes(a ^ b for a, b in zip(payload, pad, strict=False))
        self.raw(head + mask + body)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are; nothing once the server has gone."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def abort(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


async def connect(
    port: int,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    receive_buffer_bytes: int | None = None,
    timeout_s: float = 10.0,
) -> Client:
    """Open a socket. Raises `Refused` when it is answered otherwise than with 101."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    async with asyncio.timeout(timeout_s):
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        limit = receive_buffer_bytes or 65_536
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
        fields = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **(headers or {}),
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            status, answer = await _read_head(reader)
            if status != 101:
                raise Refused(status, answer, await _read_body(reader, answer))
        except BaseException:
            writer.transport.abort()
            raise
    return Client(reader, writer)


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    return int(head[0].split(" ")[1]), {name.lower(): value for name, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    # The front door keeps the connection.
    length = headers.get("content-length")
    return await (reader.read() if length is None else reader.readexactly(int(length)))


async def request(
    port: int, data: bytes, *, timeout_s: float = 5.0
) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; status, headers and body of what comes back until the end."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            status, headers = await _read_head(reader)
            return status, headers, await _read_body(reader, headers)
        finally:
            writer.transport.abort()


async def get(port: int, path: str) -> tuple[int, Any]:
    """A plain GET: status and decoded body."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    status, _, body = await request(port, head.encode())
    return status, orjson.loads(body)


@contextlib.asynccontextmanager
async def watching(port: int, order_id: str, **options: Any) -> AsyncIterator[Client]:
    """A customer's socket for the block."""
    client = await connect(port, ORDER_PATH.format(order_id), **options)
    try:
        yield client
    finally:
        client.abort()
