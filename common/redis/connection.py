"""One connection to Redis until it is lost, and the one rule by which it is made again.

`Connection` is what a pipelined link and a Pub/Sub connection have in common: bytes in, whole
replies out, one reason for its end. `keep_connected` opens it again whenever it is lost. A
connection that lived shorter than `SETTLED_AFTER_S` counts as a failed attempt, so a server that
accepts and then drops its clients is not called without pause.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import hiredis

from common.backoff import Backoff
from common.errors import Overloaded
from common.log import Repeated
from common.redis.url import Command, RedisUrl, open_connection

# Whatever a reply may be: hiredis knows bytes, integers, lists, None and errors.
Reply = Any

# A server that restarts is back within a second or two: retry soon, but do not hammer it.
RECONNECT = Backoff(first_s=0.05, most_s=1.0)
# A connection that lived this long was a good one: the next attempt comes at once.
SETTLED_AFTER_S = 1.0
# What opening a connection may end with when the server is away, or is none.
FAILURES = (OSError, TimeoutError, Overloaded, hiredis.ReplyError, UnicodeError)

pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]


class Connection(asyncio.Protocol, ABC):
    """A connection, until it is lost. `lost` is set with the reason, once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        # When bytes last came, by the loop's clock: a sign that the other side lives.
        self.heard_at = self._loop.time()
        self.lost: asyncio.Future[str] = self._loop.create_future()

    @abstractmethod
    def received(self, reply: Reply) -> None:
        """Take one whole reply; an error reply is a `hiredis.ReplyError`."""

    @abstractmethod
    def abandon(self, reason: str) -> None:
        """Fail what waits for replies: there will be none."""

    @abstractmethod
    def add(self, command: Command) -> Awaitable[Reply]:
        """Send a command; its reply. Raises `Overloaded`, `hiredis.ReplyError`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Hand on each whole reply."""
        self.heard_at = self._loop.time()
        gets, received = self._reader.gets, self.received
        try:
            self._reader.feed(data)
            # RESP2 has no booleans, so False is hiredis' word for "no whole reply yet".
            while (reply := gets()) is not False:
                received(reply)
        except hiredis.ProtocolError as e:
            self.fail(f"not a Redis reply: {e}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed, or the network did."""
        self.fail(str(exc) if exc else "the connection was closed")

    def fail(self, reason: str) -> None:
        """End this connection and everything that waits on it. Only the first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._transport is not None:
            self._transport.abort()
        self.abandon(reason)


C = TypeVar("C", bound=Connection)


async def open_greeted(
    url: RedisUrl, factory: Callable[[], C], *, name: str, timeout_s: float
) -> C:
    """Connect, log in, choose the database, and see that it serves. Raises `FAILURES`."""
    async with asyncio.timeout(timeout_s):
        _, connection = await open_connection(url, factory)
        try:
            for command in url.greeting():
                await connection.add(command)
            for command in url.courtesies(name):
                # A user without the right to these is served all the same.
                await asyncio.gather(connection.add(command), return_exceptions=True)
            if connection.lost.done():
                raise Overloaded(f"Redis: {connection.lost.result()}")
        except BaseException:
            connection.fail("the greeting failed")
            raise
    return connection


async def keep_connected(
    connect: Callable[[], Awaitable[C]],
    serve: Callable[[C], Awaitable[None]],
    trouble: Repeated,
    *,
    backoff: Backoff = RECONNECT,
    settled_after_s: float = SETTLED_AFTER_S,
) -> None:
    """Connect, serve until the connection is lost, and connect again, until cancelled.

    `connect` raises one of `FAILURES`; `serve` returns once the connection is lost.
    """
    loop = asyncio.get_running_loop()
    attempt = 0
    while True:
        try:
            connection = await connect()
        except FAILURES as e:
            trouble.failed(error=str(e) or type(e).__name__)
        else:
            connected_at = loop.time()
            try:
                await serve(connection)
            finally:
                connection.fail("closed")
            trouble.failed(error=connection.lost.result())
            if loop.time() - connected_at >= settled_after_s:
                attempt = 0
                continue
        await asyncio.sleep(backoff.delay_s(attempt))
        attempt += 1
