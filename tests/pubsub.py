"""A Redis of memory, as far as the fan-out's two connections see it: slow, cut, and refusing.

Commands are carried out in the order in which they leave, each connection for itself, after
`delay_s` of the loop's time; so are the messages behind them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from common.event import EPOCH
from fanout.orders.bridge import Bridge, Routes
from fanout.orders.hub import Channel
from tests.wait import pace


class FakeRedis:
    """Snapshots by channel name, and the Pub/Sub connections that are open."""

    def __init__(self, delay_s: Callable[[], float]) -> None:
        self.delay_s = delay_s
        self.snapshots: dict[bytes, bytes] = {}
        self.connections: list[FakeConnection] = []
        # Connections made so far.
        self.made = 0
        # Whether Redis takes SUBSCRIBE from the user, and connections at all.
        self.refuses = False
        self.away = False

    async def connect(self, routes: Routes) -> Bridge:
        """A `subscriptions.Connect`."""
        await pace(self.delay_s())
        if self.away:
            raise ConnectionRefusedError
        self.made += 1
        bridge = Bridge(routes)
        self.connections.append(FakeConnection(self, bridge))
        return bridge

    async def read(self, channels: Sequence[Channel]) -> None:
        """A `subscriptions.Read`: what it finds is older by the time it is known."""
        await pace(self.delay_s())
        if self.away:
            raise ConnectionRefusedError
        found = [self.snapshots.get(channel.name) for channel in channels]
        await pace(self.delay_s())
        for channel, snapshot in zip(channels, found, strict=True):
            channel.refresh(snapshot, ended=False, oldest=EPOCH)

    def publish(self, name: bytes, payload: bytes) -> None:
        """Set and publish, as a consumer does."""
        self.snapshots[name] = payload
        for connection in self.connections:
            if name in connection.subscribed:
                connection.answer([b"message", name, payload])

    def cut(self) -> None:
        """Close all connections."""
        for connection in tuple(self.connections):
            connection.abort()

    @property
    def subscribed(self) -> set[bytes]:
        """What the living connections are subscribed to."""
        return {name for connection in self.connections for name in connection.subscribed}


class FakeConnection(asyncio.Transport):
    """The transport of a `Bridge`, with the server behind it."""

    def __init__(self, redis: FakeRedis, bridge: Bridge) -> None:
        super().__init__()
        self.subscribed: set[bytes] = set()
        self._redis = redis
        self._bridge = bridge
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._open = True
        self._to_server = _Way(redis, self._execute)
        self._to_client = _Way(redis, self._deliver)
        bridge.connection_made(self)

    def write(self, data: Any) -> None:
        """Carry out commands, later."""
        self._to_server.send(bytes(data))

    def _execute(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            if not self._open:
                return
            verb, *names = command
            if verb == b"SUBSCRIBE" and self._redis.refuses:
                self._to_client.send(b"-NOPERM no channel for you\r\n")
                continue
            for name in names:
                if verb == b"SUBSCRIBE":
                    self.subscribed.add(name)
                else:
                    self.subscribed.discard(name)
                self.answer([verb.lower(), name, len(self.subscribed)])

    def answer(self, reply: list[Any]) -> None:
        """Send a reply or a message, later."""
        parts = [
            b":%d\r\n" % part if isinstance(part, int) else b"$%d\r\n%b\r\n" % (len(part), part)
            for part in reply
        ]
        self._to_client.send(b"*%d\r\n" % len(reply) + b"".join(parts))

    def _deliver(self, data: bytes) -> None:
        if self._open:
            self._bridge.data_received(data)

    def abort(self) -> None:
        """End the connection, as either side may."""
        if self._open:
            self._open = False
            self._redis.connections.remove(self)
            self._loop.call_soon(self._bridge.connection_lost, None)


class _Way:
    """One direction of a connection: nothing overtakes what was sent before it."""

    def __init__(self, redis: FakeRedis, arrive: Callable[[bytes], None]) -> None:
        self._redis = redis
        self._arrive = arrive
        self._loop = asyncio.get_running_loop()
        self._sent: deque[bytes] = deque()
        self._last_at = 0.0

    def send(self, data: bytes) -> None:
        self._sent.append(data)
        self._last_at = max(self._last_at, self._loop.time() + self._redis.delay_s())
        # Timers of the same time fire in any order: each takes what is first.
        self._loop.call_at(self._last_at, lambda: self._arrive(self._sent.popleft()))
