"""Keeps Redis subscribed to what is watched, and every channel merged with its snapshot.

Joins come in batches: SUBSCRIBE, wait for the acknowledgement, read snapshot and marker with one
MGET, merge. After the connection was lost, all of it is done again for every channel; whatever
was missed meanwhile is in the snapshots.

The lock is for the subscription state only, never for delivery. Batches of joins and releases
hold its reader side; the rebuild holds the writer side, so it sees no half-made change. A batch
takes it once for up to 512 channels: aiorwlock's cost grows with its holders.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import hiredis
from aiorwlock import RWLock

from common.backoff import Backoff
from common.errors import Overloaded
from common.log import Repeated, get
from common.redis.url import parse_redis_url
from common.redis.wire import Wire
from common.settings import Settings
from fanout.counts import Counts
from fanout.orders.bridge import Bridge, Routes, open_bridge
from fanout.orders.hub import Channel, Hub

T = TypeVar("T")

# Channels of one SUBSCRIBE or MGET: 100,000 in one command stall the loop for 0.2 s (measured),
# in pieces of 512 for 8 ms.
BATCH_CHANNELS_MAX: Final = 512
# Batches of joins in flight together.
JOINERS: Final = 4
# A rebuild of very many channels may hold the lock for this long, in seconds.
LOCK_TIMEOUT_S: Final = 10.0
RECONNECT: Final = Backoff(first_s=0.05, most_s=1.0)
# How often channels without watchers are looked through, in seconds.
RELEASE_EVERY_S: Final = 0.2
# Before a join is tried again that failed while the connection stayed, in seconds.
REJOIN_S: Final = 0.1

FAILURES: Final = (OSError, TimeoutError, Overloaded, hiredis.ReplyError)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Pieces of at most `BATCH_CHANNELS_MAX`."""
    rest = iter(items)
    while batch := list(islice(rest, BATCH_CHANNELS_MAX)):
        yield batch


class Subscriptions:
    """Runs until cancelled; `join` and `leave` are called from outside, synchronously."""

    def __init__(self, settings: Settings, wire: Wire, counts: Counts, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._url = parse_redis_url(settings.redis_url)
        self._reply_timeout_s = settings.redis_reply_timeout_s
        self._linger_s = settings.unsubscribe_linger_s
        self._location_ttl = timedelta(seconds=settings.location_ttl)
        self._wire = wire
        self._counts = counts
        self._name = name
        self._routes: Routes = {}
        self.hub = Hub(self._routes)
        self._lock = RWLock(fast=True)
        # Channels to be subscribed and read, in order of arrival.
        self._wanted: dict[Channel, None] = {}
        self._wake = asyncio.Event()
        # Channels that are no order: the probe's, the operators'.
        self._extra: dict[bytes, Callable[[bytes], None]] = {}
        self.bridge: Bridge | None = None
        # Orders for which a SUBSCRIBE has left on the present connection.
        self._subscribed: set[Channel] = set()
        # Whether every channel has been subscribed and read on the present connection.
        self.synced = False
        self._trouble = Repeated(get("bridge"), "pubsub.lost")

    def join(self, order_id: str, session: Any) -> Channel:
        """Add a session to an order; it is shown something once the order has been read."""
        channel = self.hub.join(order_id, session)
        self._wanted[channel] = None
        self._wake.set()
        return channel

    def leave(self, channel: Channel, session: Any) -> None:
        """Remove a session. The channel stays subscribed for a while."""
        self.hub.leave(channel, session, self._loop.time())

    def watch(self, name: bytes, route: Callable[[bytes], None]) -> None:
        """Subscribe to a channel that is no order, also after every reconnect."""
        self._extra[name] = self._routes[name] = route
        self._tell("SUBSCRIBE", name)

    def unwatch(self, name: bytes) -> None:
        """Undo `watch`."""
        del self._extra[name], self._routes[name]
        self._tell("UNSUBSCRIBE", name)

    def _tell(self, verb: str, name: bytes) -> None:
        bridge = self.bridge
        if bridge is not None and not bridge.lost.done():
            bridge.command(verb, name).add_done_callback(_drop)

    async def run(self) -> None:
        """Keep connected and subscribed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_connected(), name="bridge")
            tasks.create_task(self._keep_releasing(), name="release")
            for number in range(JOINERS):
                tasks.create_task(self._keep_joining(), name=f"join {number}")

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            try:
                bridge = await open_bridge(
                    self._url,
                    self._routes,
                    name=self._name,
                    reply_timeout_s=self._reply_timeout_s,
                )
            except FAILURES as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                await asyncio.sleep(RECONNECT.delay_s(attempt))
                attempt += 1
                continue
            attempt = 0
            self._subscribed.clear()
            self.bridge = bridge
            try:
                await self._rebuild_until_done(bridge)
                await asyncio.wait((bridge.lost,))
            finally:
                self.synced = False
                self.bridge = None
                bridge.fail("closed")
            self._counts.reconnects += 1
            self._trouble.failed(error=bridge.lost.result())

    async def _rebuild_until_done(self, bridge: Bridge) -> None:
        attempt = 0
        while not bridge.lost.done():
            try:
                async with asyncio.timeout(LOCK_TIMEOUT_S):
                    await self._lock.writer.acquire()
                try:
                    await self._rebuild(bridge)
                finally:
                    self._lock.writer.release()
            except FAILURES as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                await asyncio.sleep(RECONNECT.delay_s(attempt))
                attempt += 1
            else:
                self.synced = True
                self._trouble.healed(channels=len(self.hub.channels))
                return

    async def _rebuild(self, bridge: Bridge) -> None:
        """Subscribe to everything, then read every order: what was missed is shown."""
        everything = list(self.hub.channels.values())
        names = [*self._extra, *(channel.name for channel in everything)]
        self._subscribed.update(everything)
        for batch in batches(names):
            async with asyncio.timeout(self._reply_timeout_s):
                await bridge.subscribe(batch)
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
                await self._with_reader(partial(self._join, batch))
            except FAILURES:
                # If the connection is gone, the rebuild reads everything; if not, try again.
                await asyncio.sleep(REJOIN_S)
                if self.synced:
                    self._wanted |= dict.fromkeys(batch)
                    self._wake.set()

    async def _join(self, batch: list[Channel]) -> None:
        bridge = self.bridge
        if bridge is None or not self.synced:
            return
        names = [channel.name for channel in batch if channel not in self._subscribed]
        self._subscribed.update(batch)
        async with asyncio.timeout(self._reply_timeout_s):
            if names:
                await bridge.subscribe(names)
            elif (settled := bridge.settled()) is not None:
                await asyncio.shield(settled)
        await self._read(batch)

    async def _read(self, channels: list[Channel]) -> None:
        keys = [channel.key for channel in channels]
        keys += [channel.ended_key for channel in channels]
        found = await self._wire.send("MGET", *keys)
        count = len(channels)
        oldest = datetime.now(UTC) - self._location_ttl
        for channel, snapshot, ended in zip(channels, found[:count], found[count:], strict=True):
            channel.refresh(snapshot, ended=ended is not None, oldest=oldest)

    async def _keep_releasing(self) -> None:
        while True:
            await asyncio.sleep(min(RELEASE_EVERY_S, self._linger_s))
            if self.hub.idle_since(self._loop.time() - self._linger_s):
                try:
                    await self._with_reader(self._release)
                except FAILURES:
                    # Nothing to undo: the connection is lost, and with it what it watched.
                    continue

    async def _release(self) -> None:
        # Forgetting and sending are one step: a join after it sends its SUBSCRIBE after ours.
        idle = self.hub.idle_since(self._loop.time() - self._linger_s)
        self._subscribed.difference_update(idle)
        for names in batches(self.hub.forget(idle)):
            if self.bridge is not None:
                async with asyncio.timeout(self._reply_timeout_s):
                    await self.bridge.unsubscribe(names)

    async def _with_reader(self, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # asyncio.timeout, not wait_for: on Python 3.11 that acquires in another task, and the
        # lock knows its holders by task (aiorwlock issue 409).
        async with asyncio.timeout(LOCK_TIMEOUT_S):
            await self._lock.reader.acquire()
        try:
            await change()
        finally:
            self._lock.reader.release()


def _drop(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
