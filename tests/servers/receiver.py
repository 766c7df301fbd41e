"""A receiver of webhooks for tests: takes requests as bytes, and answers as it is told to."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Posted:
    """One request."""

    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def event(self) -> dict[str, Any]:
        """What the body says."""
        found: dict[str, Any] = json.loads(self.body)
        return found


Behave = Callable[[Posted, asyncio.StreamWriter], Awaitable[bytes | None]]


async def take(_request: Posted, _writer: asyncio.StreamWriter) -> bytes:
    """Say that it was taken."""
    return OK


def status(code: int, *headers: str) -> Behave:
    """Answer with a status and no body."""

    async def answer(_request: Posted, _writer: asyncio.StreamWriter) -> bytes:
        lines = (f"HTTP/1.1 {code} X", "content-length: 0", *headers, "", "")
        return "\r\n".join(lines).encode()

    return answer


class Receiver:
    """Listens on a free port of loopback. `behave` may be changed at any time. Use as a context."""

    def __init__(self, behave: Behave = take, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.posted: list[Posted] = []
        self.connections = 0
        self.open = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{port}/hook"

    @property
    def ids(self) -> list[str]:
        """Ids of the events, in the order in which they came."""
        return [posted.event["event_id"] for posted in self.posted]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while (posted := await _read(reader)) is not None:
                self.posted.append(posted)
                answer = await self.behave(posted, writer)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Posted | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    lines = head.split("\r\n")[1:-2]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Posted(headers, body, asyncio.get_running_loop().time())
