"""One Pub/Sub connection to Redis, read with hiredis: bytes in, a dictionary look-up, a call.

redis-py takes 7 to 15 µs for a message and hides reconnects (measured); this takes about one
and says when it is lost, so that everything missed in between can be read again.

Invariant: acknowledgements come in the order of the commands, so waiting for the last command
means that Redis has carried out all before it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from common.errors import Overloaded
from common.redis.url import RedisUrl, open_connection

Routes = dict[bytes, Callable[[bytes], None]]
_pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


class Bridge(asyncio.Protocol):
    """A Pub/Sub connection, until it is lost. `lost` is set with the reason, once."""

    def __init__(self, routes: Routes) -> None:
        loop = asyncio.get_running_loop()
        self._routes = routes
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        # (future, acknowledgements it still wants), in the order of the commands.
        self._waiting: deque[list[Any]] = deque()
        self._loop = loop
        self.lost: asyncio.Future[str] = loop.create_future()
        # Calls of data_received: whoever sees it grow knows that the connection lives.
        self.heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Route messages; settle acknowledgements."""
        self.heard += 1
        gets = self._reader.gets
        routes = self._routes
        try:
            self._reader.feed(data)
            # RESP2 has no booleans, so False is hiredis' word for "no whole reply yet".
            while (reply := gets()) is not False:
                if type(reply) is list and reply[0] == b"message":
                    route = routes.get(reply[1])
                    if route is not None:
                        route(reply[2])
                else:
                    self._settle(reply)
        except hiredis.ProtocolError as e:
            self.fail(f"not a Redis reply: {e}")

    def _settle(self, reply: Any) -> None:
        if not self._waiting:
            self.fail("a reply that nobody asked for")
            return
        entry = self._waiting[0]
        entry[1] -= 1
        if isinstance(reply, hiredis.ReplyError):
            self.fail(f"Redis refused: {reply}")
        elif entry[1] == 0:
            self._waiting.popleft()
            if not entry[0].done():
                entry[0].set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed, or the network did."""
        self.fail(str(exc) if exc else "the connection was closed")

    def fail(self, reason: str) -> None:
        """End this connection. Only the first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._transport is not None:
            self._transport.abort()
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(Overloaded(f"Redis: {reason}"))

    def command(self, *args: Any, replies: int = 1) -> asyncio.Future[None]:
        """Send a command; the future is done when Redis has carried it out.

        Raises `Overloaded`, here or from the future, when the connection is lost.
        """
        if self._transport is None or self.lost.done():
            raise Overloaded("the Pub/Sub connection is lost")
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append([future, replies])
        self._transport.write(_pack(args))
        return future

    def subscribe(self, names: Sequence[bytes]) -> asyncio.Future[None]:
        """SUBSCRIBE, as `command`."""
        return self.command("SUBSCRIBE", *names, replies=len(names))

    def unsubscribe(self, names: Sequence[bytes]) -> asyncio.Future[None]:
        """UNSUBSCRIBE, as `command`."""
        return self.command("UNSUBSCRIBE", *names, replies=len(names))

    async def ask(self) -> None:
        """PING, as `command`: whether this connection lives at all."""
        await self.command("PING")

    def settled(self) -> asyncio.Future[None] | None:
        """What is done once Redis has carried out all that was sent; None if it has."""
        return self._waiting[-1][0] if self._waiting else None


async def open_bridge(
    url: RedisUrl, routes: Routes, *, name: str, reply_timeout_s: float
) -> Bridge:
    """Connect and greet. Raises `OSError`, `TimeoutError` or `Overloaded`."""
    async with asyncio.timeout(reply_timeout_s):
        _, bridge = await open_connection(url, lambda: Bridge(routes))
        try:
            for command in url.greeting(name):
                await bridge.command(*command)
        except BaseException:
            bridge.fail("the greeting failed")
            raise
    return bridge
