"""Keeps one server of Redis subscribed to what is watched and lies there, merged with snapshots.

Joins come in batches: SUBSCRIBE, wait for the acknowledgement, read snapshots and markers, merge.
After the connection was lost, all of it is done again for every channel; whatever was missed
meanwhile is in the snapshots. A cluster has a lane for each primary, and what happens to one of
them concerns its channels alone.

Invariant: Redis carries out commands in the order in which they leave, so the last command that
named a channel says whether it is subscribed. What a channel needs is therefore decided and sent
in one step, without an `await` between: a session that joins after its channel was forgotten finds
no channel, makes another, and its SUBSCRIBE leaves after that channel's UNSUBSCRIBE.

The lock is for the subscription state only, never for delivery. Batches of joins and releases
hold its reader side; the rebuild holds the writer side, so it sees no half-made change. A batch
takes it once for up to 512 channels: aiorwlock's cost grows with its holders.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

import hiredis
from aiorwlock import RWLock

from common.backoff import Backoff
from common.log import Repeated, get
from common.redis.connection import FAILURES, SETTLED_AFTER_S, keep_connected
from fanout.orders.bridge import Bridge, Routes
from fanout.orders.hub import Channel, Hub
from fanout.sockets.counts import FanoutCounts

T = TypeVar("T")
Connect = Callable[[Routes], Awaitable[Bridge]]
Read = Callable[[Sequence[Channel]], Awaitable[None]]

# Channels of one SUBSCRIBE or MGET: 100,000 in one command stall the loop for 0.2 s (measured),
# in pieces of 512 for 8 ms.
BATCH_CHANNELS_MAX: Final = 512
# Batches of joins in flight together.
JOINERS: Final = 4
# A rebuild of very many channels may hold the lock for this long, in seconds.
LOCK_TIMEOUT_S: Final = 10.0
# A rebuild that failed while its connection stayed is tried again after this.
REBUILD: Final = Backoff(first_s=0.05, most_s=1.0)
# Before a join that failed is tried again, in seconds.
REJOIN_S: Final = 0.1


class _Side(Protocol):
    async def acquire(self) -> object: ...

    def release(self) -> object: ...


class Watched(Protocol):
    """What is watched as a whole, of which a lane has the channels of its server."""

    hub: Hub
    routes: Routes

    def orders_of(self, lane: "Lane") -> list[Channel]:
        """The orders that lie on the lane's server, as far as is known."""

    def others_of(self, lane: "Lane") -> list[bytes]:
        """Likewise the channels that are no order."""

    def want(self, channels: Iterable[Channel]) -> None:
        """Let channels be subscribed and read by the lanes that have them now."""

    def lost(self, lane: "Lane") -> None:
        """The lane may have missed messages."""

    def doubt(self) -> None:
        """A channel may lie elsewhere than is known."""


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Pieces of at most `BATCH_CHANNELS_MAX`."""
    rest = iter(items)
    while batch := list(islice(rest, BATCH_CHANNELS_MAX)):
        yield batch


class Lane:
    """Runs until cancelled. `connect` opens a Pub/Sub connection to the server, `read` merges
    channels with what Redis holds of them; both raise `FAILURES`.
    """

    def __init__(
        self,
        watched: Watched,
        connect: Connect,
        read: Read,
        counts: FanoutCounts,
        *,
        reply_timeout_s: float,
    ) -> None:
        self._watched = watched
        self._connect = connect
        self._read = read
        self._counts = counts
        self._reply_timeout_s = reply_timeout_s
        self._lock = RWLock(fast=True)
        # Channels to be subscribed and read, in order of arrival.
        self._wanted: dict[Channel, None] = {}
        self._wake = asyncio.Event()
        self.bridge: Bridge | None = None
        # What runs this, while it runs.
        self.task: asyncio.Task[None] | None = None
        # Orders' channels whose last command on the present connection was SUBSCRIBE.
        self._subscribed: set[bytes] = set()
        # Whether every channel has been subscribed and read on the present connection.
        self.synced = False
        self._trouble = Repeated(get("bridge"), "pubsub.lost")

    def want(self, channels: Iterable[Channel]) -> None:
        """Subscribe to these and read them."""
        self._wanted.update(dict.fromkeys(filter(self._watched.hub.holds, channels)))
        self._wake.set()

    def tell(self, name: bytes, *, watch: bool) -> None:
        """Subscribe to, or unsubscribe from, a channel that is no order, if there is a connection.

        Without one the rebuild that is to come knows.
        """
        bridge = self.bridge
        if bridge is not None and not bridge.lost.done():
            sent = bridge.subscribe((name,)) if watch else bridge.unsubscribe((name,))
            sent.add_done_callback(self._told if watch else _drop)

    def _told(self, sent: asyncio.Future[None]) -> None:
        """A channel that nobody subscribed to again would be silent for ever."""
        error = None if sent.cancelled() else sent.exception()
        bridge = self.bridge
        if isinstance(error, hiredis.ReplyError) and bridge is not None and bridge.is_sharded:
            bridge.fail(f"a channel was refused: {error}")

    async def run(self) -> None:
        """Keep connected and subscribed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_connected(), name="bridge")
            for number in range(JOINERS):
                tasks.create_task(self._keep_joining(), name=f"join {number}")

    async def _keep_connected(self) -> None:
        routes = self._watched.routes
        await keep_connected(lambda: self._connect(routes), self._serve, self._trouble)

    async def _serve(self, bridge: Bridge) -> None:
        self._subscribed.clear()
        self.bridge = bridge
        try:
            await self._rebuild_until_done(bridge)
            await asyncio.wait((bridge.lost,), timeout=SETTLED_AFTER_S)
            if not bridge.lost.done():
                self._trouble.healed(channels=len(self._subscribed))
                await asyncio.wait((bridge.lost,))
        finally:
            self.synced = False
            self.bridge = None
            self._watched.lost(self)
        self._counts.reconnects += 1

    async def _rebuild_until_done(self, bridge: Bridge) -> None:
        attempt = 0
        while not bridge.lost.done():
            try:
                async with self._locked(self._lock.writer):
                    await self._rebuild(bridge)
            except FAILURES as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                # It would be asked again and again for a channel whose slot has moved.
                self._watched.doubt()
                await asyncio.sleep(REBUILD.delay_s(attempt))
                attempt += 1
            else:
                self.synced = True
                return

    async def _rebuild(self, bridge: Bridge) -> None:
        """Subscribe to everything, then read every order: what was missed is shown."""
        for names in batches(self._watched.others_of(self)):
            # An operator may have gone while the piece before was on its way.
            if watched := [name for name in names if name in self._watched.routes]:
                await self._acknowledged(bridge.subscribe(watched))
        everything = self._watched.orders_of(self)
        for channels in batches(everything):
            names = [channel.name for channel in channels]
            self._subscribed.update(names)
            await self._acknowledged(bridge.subscribe(names))
        for channels in batches(everything):
            await self._read(channels)

    async def _keep_joining(self) -> None:
        while True:
            await self._wake.wait()
            batch = list(islice(self._wanted, BATCH_CHANNELS_MAX))
            if not batch:
                self._wake.clear()
                continue
            for channel in batch:
                del self._wanted[channel]
            try:
                async with self._locked(self._lock.reader):
                    await self._join(batch)
            except FAILURES:
                self._watched.doubt()
                await asyncio.sleep(REJOIN_S)
                # They may lie on another server by now.
                self._watched.want(batch)

    async def _join(self, batch: list[Channel]) -> None:
        bridge = self.bridge
        if bridge is None or not self.synced:
            # The rebuild that is to come reads everything.
            return
        names = [
            channel.name
            for channel in batch
            if channel.name not in self._subscribed and self._watched.hub.holds(channel)
        ]
        if names:
            self._subscribed.update(names)
            try:
                await self._acknowledged(bridge.subscribe(names))
            except hiredis.ReplyError:
                self._subscribed.difference_update(names)
                raise
        elif (settled := bridge.settled()) is not None:
            # Another batch's SUBSCRIBE may still be on its way.
            await self._acknowledged(settled)
        await self._read(batch)

    def forgo(self, names: Iterable[bytes]) -> None:
        """These channels lie on another server now, which has ended their subscriptions here."""
        self._subscribed.difference_update(names)

    async def release(self, idle: list[Channel]) -> None:
        """Forget channels that are still unwatched. Raises `FAILURES`: then they stay idle."""
        async with self._locked(self._lock.reader):
            for channels in batches(idle):
                # A channel whose watchers came back since `idle` was read is not forgotten.
                names = self._watched.hub.forget(channels)
                subscribed = [name for name in names if name in self._subscribed]
                self._subscribed.difference_update(names)
                if subscribed and self.bridge is not None:
                    await self._acknowledged(self.bridge.unsubscribe(subscribed))

    async def _acknowledged(self, sent: asyncio.Future[None]) -> None:
        """Wait for Redis. Others may wait for the same: it is never cancelled."""
        sent.add_done_callback(_drop)
        async with asyncio.timeout(self._reply_timeout_s):
            await asyncio.shield(sent)

    @contextlib.asynccontextmanager
    async def _locked(self, side: _Side) -> AsyncIterator[None]:
        # asyncio.timeout, not wait_for: on Python 3.11 that acquires in another task, and the
        # lock knows its holders by task (aiorwlock issue 409).
        async with asyncio.timeout(LOCK_TIMEOUT_S):
            await side.acquire()
        try:
            yield
        finally:
            side.release()


def _drop(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
