"""Proves, again and again, that what is published arrives here.

A connection can be dead and look alive for ever: nothing arrives, nothing fails. So the process
publishes to a channel of its own, through the same path as everybody, and expects it back: one for
each server, since a proof of one says nothing of another. A probe that could not be sent says
nothing about the receiving side; then the Pub/Sub connection itself is asked with a PING.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable

from common.keys import probe_channel
from common.log import get
from common.redis.cluster.slot_map import Address
from common.redis.connection import FAILURES
from common.redis.nodes import Nodes
from fanout.orders.bridge import Bridge
from fanout.orders.lane import Lane
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.counts import FanoutCounts


class Probe:
    """Runs until cancelled. `delivering` is what readiness says, `whole` whether nothing lacks."""

    def __init__(
        self,
        nodes: Nodes,
        subscriptions: Subscriptions,
        counts: FanoutCounts,
        *,
        interval_s: float,
        reply_timeout_s: float,
    ) -> None:
        self._subscriptions = subscriptions
        self._probes: dict[Lane, LaneProbe] = {}
        self._changed = asyncio.Event()
        # Behind the subscriptions, which have other lanes by then.
        nodes.on_change(self._changed.set)
        self._new: Callable[[Address, Lane], LaneProbe] = lambda address, lane: LaneProbe(
            nodes,
            subscriptions,
            lane,
            address,
            counts,
            interval_s=interval_s,
            reply_timeout_s=reply_timeout_s,
        )

    @property
    def delivering(self) -> bool:
        """Whether what is published now would be shown: of some orders, when servers are away."""
        return any(probe.delivering for probe in self._probes.values())

    @property
    def whole(self) -> bool:
        """Whether what is published now would be shown of all orders."""
        lanes = self._subscriptions.lanes.values()
        probes = [self._probes.get(lane) for lane in lanes]
        return bool(probes) and all(probe is not None and probe.delivering for probe in probes)

    @property
    def age_s(self) -> float | None:
        """Since a probe arrived last, of the server for which that is longest; None before the
        first.
        """
        ages = [probe.age_s for probe in self._probes.values()]
        known = [age for age in ages if age is not None]
        return max(known) if known else None

    async def run(self) -> None:
        """Probe each server at once after each rebuild of its lane, then every interval."""
        async with asyncio.TaskGroup() as tasks:
            running: dict[Lane, asyncio.Task[None]] = {}
            while True:
                self._changed.clear()
                lanes = self._subscriptions.lanes
                for address, lane in lanes.items():
                    if lane not in running:
                        self._probes[lane] = probe = self._new(address, lane)
                        running[lane] = tasks.create_task(probe.run(), name="probe")
                for lane in running.keys() - set(lanes.values()):
                    running.pop(lane).cancel()
                    self._probes.pop(lane).end()
                await self._changed.wait()


class LaneProbe:
    """Probes one server."""

    def __init__(
        self,
        nodes: Nodes,
        subscriptions: Subscriptions,
        lane: Lane,
        address: Address,
        counts: FanoutCounts,
        *,
        interval_s: float,
        reply_timeout_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval_s = interval_s
        # Half an interval for the probe, half for a PING after it: found within two intervals.
        self._timeout_s = min(interval_s / 2, reply_timeout_s)
        self._nodes = nodes
        self._subscriptions = subscriptions
        self._lane = lane
        self._address = address
        self._counts = counts
        self._log = get("probe")
        # Unique to this process: nobody else's probe may prove our path.
        self._unique = f"{os.getpid()}-{secrets.token_hex(8)}"
        # In a bucket of this server's; none while it has none, and then nothing to prove.
        self.channel: bytes | None = None
        self._number = 0
        self._awaited: asyncio.Future[None] | None = None
        self._arrived_at = float("-inf")

    @property
    def delivering(self) -> bool:
        """Whether what is published now would be shown."""
        if self.channel is None:
            return self._lane.synced
        fresh = self._loop.time() - self._arrived_at <= 2 * self._interval_s + self._timeout_s
        return fresh and self._lane.synced and self._nodes.key_wire(self.channel).up

    @property
    def age_s(self) -> float | None:
        """Since a probe arrived last; None before the first."""
        at = self._arrived_at
        return self._loop.time() - at if at > float("-inf") else None

    def _arrived(self, payload: bytes) -> None:
        if payload == b"%d" % self._number:
            self._arrived_at = self._loop.time()
            if self._awaited is not None and not self._awaited.done():
                self._awaited.set_result(None)

    async def run(self) -> None:
        """Probe at once after each rebuild, then every interval."""
        proven: Bridge | None = None
        while True:
            self._settle()
            bridge = self._lane.bridge
            if bridge is None or not self._lane.synced:
                await asyncio.sleep(min(0.02, self._interval_s / 10))
                continue
            if bridge is proven:
                await asyncio.wait((bridge.lost,), timeout=self._interval_s)
                if bridge.lost.done():
                    continue
            self._settle()
            proven = bridge
            if self.channel is not None and not await self._check(bridge, self.channel):
                self._counts.probes_missed += 1
                self._log.warning("probe.missed", after_s=self._timeout_s)
                bridge.fail("the probe did not come back")

    def _settle(self) -> None:
        """Have a channel that lies on this server: slots may have moved."""
        buckets = self._subscriptions.buckets_of(self._address)
        channels = [probe_channel(self._unique, bucket).encode() for bucket in buckets[:1]]
        wanted = self.channel if self.channel in channels else next(iter(channels), None)
        if wanted != self.channel:
            self.end()
            self.channel = wanted
            if wanted is not None:
                self._subscriptions.watch(wanted, self._arrived)

    def end(self) -> None:
        """Leave no channel behind."""
        if self.channel is not None:
            self._subscriptions.unwatch(self.channel)
            self.channel = None

    async def _check(self, bridge: Bridge, channel: bytes) -> bool:
        """Whether the path lives. Busy is not dead: anything received counts."""
        heard = bridge.heard
        if not await self._done(self._publish(channel)):
            await self._done(bridge.ask())
            return bridge.heard != heard
        if self._awaited is not None:
            await self._done(self._awaited)
        return bridge.heard != heard

    async def _publish(self, channel: bytes) -> None:
        """Send a probe. Raises if it could not be sent."""
        self._number += 1
        self._awaited = self._loop.create_future()
        wire = self._nodes.key_wire(channel)
        await wire.send(self._nodes.publish, channel, b"%d" % self._number)

    async def _done(self, step: Awaitable[None]) -> bool:
        """Whether `step` succeeds in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await step
        except FAILURES:
            # A loop that ran late has unread input: let it be read before the verdict.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return False
        return True
