"""A connection until its request has been answered: the shell around `handshake`.

It reads the head itself, within limits of size and time, and only an accepted handshake becomes a
WebSocket of picows. So every refusal is a problem of ours, and a refused client never costs more
than its head.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from common.access.address import THIS_MACHINE, FrontDoors, household
from common.problem import HEAD_LATE
from fanout.door.handshake import NewSocket
from fanout.door.head import END, HEAD_BYTES_MAX, Head, read_head, too_large
from fanout.door.upgrade import upgrade
from fanout.sockets.answers import PlainAnswer, Rejected
from fanout.sockets.counts import FanoutCounts

# Connections that are no sockets; past it new ones are dropped unanswered. The limit on sessions
# does not hold them back.
CONNECTIONS_MAX: Final = 4_096
# Of them, those of one address: strangers that only connect must not take all. The front door
# connects for everybody, and is not counted.
CONNECTIONS_PER_ADDRESS_MAX: Final = 128
# Where all connections' bytes are read: they are looked at before the next are read, and what is
# kept is no larger than what came.
_READ: Final = memoryview(bytearray(HEAD_BYTES_MAX))
# How long what follows a refused head is read and dropped, in seconds.
LINGER_S: Final = 1.0

Decide = Callable[[Head, str], PlainAnswer | NewSocket]


class Connections:
    """All connections that are no sockets, yet or at all. `decide` judges a head and its sender."""

    def __init__(
        self,
        decide: Decide,
        counts: FanoutCounts,
        *,
        doors: FrontDoors = THIS_MACHINE,
        timeout_s: float,
        message_bytes_max: int,
    ) -> None:
        self.decide = decide
        self.counts = counts
        self._doors = doors
        self.timeout_s = timeout_s
        self.message_bytes_max = message_bytes_max
        self.open: set[HandshakeConnection] = set()
        # Connections by address, but for those of a front door.
        self.by_peer: Counter[str] = Counter()

    def accept(self) -> asyncio.BaseProtocol:
        """The server's protocol factory."""
        return HandshakeConnection(self)

    def add(self, connection: "HandshakeConnection") -> bool:
        """Count one in, if there is room for it."""
        if len(self.open) >= CONNECTIONS_MAX:
            return False
        if connection.peer not in self._doors:
            peer = household(connection.peer)
            if self.by_peer[peer] >= CONNECTIONS_PER_ADDRESS_MAX:
                return False
            self.by_peer[peer] += 1
        self.open.add(connection)
        return True

    def remove(self, connection: "HandshakeConnection") -> None:
        """Count one out: it is gone, or a socket now."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        if connection.peer not in self._doors:
            peer = household(connection.peer)
            self.by_peer[peer] -= 1
            if self.by_peer[peer] <= 0:
                del self.by_peer[peer]

    def close(self) -> None:
        """Drop all of them."""
        for connection in tuple(self.open):
            connection.drop()


class HandshakeConnection(asyncio.BufferedProtocol):
    """One connection, from its first byte to the last of its answer, or to its upgrade."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._received = b""
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head, unless too many do."""
        self._transport = transport  # type: ignore[assignment]
        name = transport.get_extra_info("peername")
        # A Unix socket's peer has no address.
        self.peer = name[0] if isinstance(name, tuple) else ""
        if self._connections.add(self):
            self._timer = self._loop.call_later(self._connections.timeout_s, self._head_is_late)
        else:
            self.drop()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads to."""
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        """Gather the head; once it is whole, answer it."""
        if self._answered:
            return
        self._received += _READ[:nbytes]
        # A head of the greatest size, and the blank line after it.
        end = self._received.find(END, 0, HEAD_BYTES_MAX + len(END))
        try:
            if end < 0:
                if len(self._received) < HEAD_BYTES_MAX + len(END):
                    return
                raise too_large()
            head = read_head(self._received[:end])
            decision = self._connections.decide(head, self.peer)
        except Rejected as e:
            decision = e.answer()
        if isinstance(decision, PlainAnswer):
            self._answer(decision)
        else:
            self._upgrade(decision, self._received[end + len(END) :])

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went, or was answered."""
        self._stop_timer()
        self._connections.remove(self)

    def drop(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def _head_is_late(self) -> None:
        if self._received:
            self._answer(Rejected(HEAD_LATE, "the request did not arrive in time").answer())
        else:
            self.drop()

    def _answer(self, answer: PlainAnswer) -> None:
        if answer.status >= 400:
            self._connections.counts.refused[answer.status] += 1
        payload = answer.payload
        if self._received.startswith(b"HEAD "):
            payload = payload[: payload.index(END) + len(END)]
        self._settle()
        self._transport.write(payload)
        if answer.unread:
            self._transport.write_eof()
            self._timer = self._loop.call_later(LINGER_S, self.drop)
        else:
            self._transport.close()

    def _upgrade(self, accepted: NewSocket, tail: bytes) -> None:
        self._settle()
        self._connections.remove(self)
        upgrade(self._transport, accepted, tail, self._connections.message_bytes_max)

    def _settle(self) -> None:
        self._answered = True
        self._received = b""
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
