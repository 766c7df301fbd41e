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
from common.redis.connection import Connection, Reply, open_greeted, pack
from common.redis.url import Command, RedisUrl
from common.slots import slot_of
from fanout.orders.frame_counts import LOOK_MASK

Routes = dict[bytes, Callable[[bytes], None]]


class Bridge(Connection):
    """A Pub/Sub connection, until it is lost. `look` is shown some messages once delivered."""

    def __init__(
        self,
        routes: Routes,
        look: Callable[[bytes], None] = lambda _: None,
        *,
        is_sharded: bool = False,
    ) -> None:
        super().__init__()
        # In a cluster a channel belongs to the server of its slot, and each slot is named in a
        # command of its own.
        self.is_sharded = is_sharded
        self._message = b"smessage" if is_sharded else b"message"
        self._look = look
        self._routes = routes
        # (future, acknowledgements it still wants, verb), in the order of the commands.
        self._waiting: deque[list[Any]] = deque()
        # Calls of data_received: a number that grows means a connection that lives.
        self.heard = 0

    def data_received(self, data: bytes) -> None:
        """Route messages. As `Connection` has it, without a call of ours for each message."""
        self.heard += 1
        gets, routes, routed = self._reader.gets, self._routes, None
        message = self._message
        try:
            self._reader.feed(data)
            while (reply := gets()) is not False:
                if type(reply) is list and reply[0] == message:
                    route = routes.get(reply[1])
                    if route is not None:
                        route(reply[2])
                        routed = reply
                else:
                    self.received(reply)
        except hiredis.ProtocolError as e:
            self.fail(f"not a Redis reply: {e}")
        if not self.heard & LOOK_MASK and routed is not None:
            self._look(routed[2])

    def received(self, reply: Reply) -> None:
        """Count an acknowledgement."""
        if self.is_sharded and self._is_unasked(reply):
            # Its slot has moved, or this server is a replica now. A new connection subscribes to
            # what is here, and reads what was missed.
            self.fail("the server has ended a subscription")
            return
        if not self._waiting:
            self.fail("a reply that nobody asked for")
            return
        entry = self._waiting[0]
        entry[1] -= 1
        refused = isinstance(reply, hiredis.ReplyError)
        # A refused command has one reply, however many channels it names.
        if refused or entry[1] == 0:
            self._waiting.popleft()
            if entry[0].done():
                return
            if refused:
                entry[0].set_exception(reply)
            else:
                entry[0].set_result(None)

    def _is_unasked(self, reply: Reply) -> bool:
        ended = type(reply) is list and reply[0] == b"sunsubscribe"
        return ended and not (self._waiting and self._waiting[0][2] == "SUNSUBSCRIBE")

    def abandon(self, reason: str) -> None:
        """Fail all commands that wait for their acknowledgement."""
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(Overloaded(f"Redis: {reason}"))

    def add(self, command: Command) -> asyncio.Future[None]:
        """Send a command that has one reply; done when Redis has carried it out."""
        return self.command(*command)

    def command(self, *args: Any, replies: int = 1) -> asyncio.Future[None]:
        """Send a command; the future is done when Redis has carried it out.

        Raises `Overloaded`, here or from the future, when the connection is lost, and
        `hiredis.ReplyError` from the future when Redis refuses.
        """
        if self._transport is None or self.lost.done():
            raise Overloaded("the Pub/Sub connection is lost")
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append([future, replies, args[0]])
        self._transport.write(pack(args))
        return future

    def subscribe(self, names: Sequence[bytes]) -> asyncio.Future[None]:
        """SUBSCRIBE, as `command`."""
        if self.is_sharded:
            return self._by_slot("SSUBSCRIBE", names)
        return self.command("SUBSCRIBE", *names, replies=len(names))

    def unsubscribe(self, names: Sequence[bytes]) -> asyncio.Future[None]:
        """UNSUBSCRIBE, as `command`."""
        if self.is_sharded:
            return self._by_slot("SUNSUBSCRIBE", names)
        return self.command("UNSUBSCRIBE", *names, replies=len(names))

    def _by_slot(self, verb: str, names: Sequence[bytes]) -> asyncio.Future[Any]:
        """A command for each slot: one that named two would be refused as a whole."""
        parts: dict[int, list[bytes]] = {}
        for name in names:
            parts.setdefault(slot_of(name), []).append(name)
        sent = [self.command(verb, *part, replies=len(part)) for part in parts.values()]
        return sent[0] if len(sent) == 1 else asyncio.gather(*sent)

    async def ask(self) -> None:
        """PING, as `command`: whether this connection lives at all."""
        await self.command("PING")

    def settled(self) -> asyncio.Future[None] | None:
        """What is done once Redis has carried out all that was sent; None if it has."""
        return self._waiting[-1][0] if self._waiting else None


async def open_bridge(
    url: RedisUrl,
    routes: Routes,
    *,
    name: str,
    reply_timeout_s: float,
    look: Callable[[bytes], None] = lambda _: None,
    is_sharded: bool = False,
) -> Bridge:
    """Connect and greet. Raises `common.redis.connection.FAILURES`."""
    return await open_greeted(
        url,
        lambda: Bridge(routes, look, is_sharded=is_sharded),
        name=name,
        timeout_s=reply_timeout_s,
    )
