"""Proves, again and again, that what is published arrives here.

A connection can be dead and look alive for ever: nothing arrives, nothing fails. So the process
publishes to a channel of its own, through the same path as everybody, and expects it back. A
probe that could not be sent says nothing about the receiving side; then the Pub/Sub connection
itself is asked with a PING.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable

from common.log import get
from common.redis.connection import FAILURES
from common.redis.wire import Wire
from fanout.orders.bridge import Bridge
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.counts import FanoutCounts


class Probe:
    """Runs until cancelled. `delivering` is what readiness says."""

    def __init__(
        self,
        wire: Wire,
        subscriptions: Subscriptions,
        counts: FanoutCounts,
        *,
        interval_s: float,
        reply_timeout_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval_s = interval_s
        # Half an interval for the probe, half for a PING after it: found within two intervals.
        self._timeout_s = min(interval_s / 2, reply_timeout_s)
        self._wire = wire
        self._subscriptions = subscriptions
        self._counts = counts
        self._log = get("probe")
        # Unique to this process: nobody else's probe may prove our path.
        self.channel = f"fanout-probe:{os.getpid()}-{secrets.token_hex(8)}".encode()
        self._number = 0
        self._awaited: asyncio.Future[None] | None = None
        self._arrived_at = float("-inf")

    @property
    def delivering(self) -> bool:
        """Whether what is published now would be shown."""
        fresh = self._loop.time() - self._arrived_at <= 2 * self._interval_s + self._timeout_s
        return fresh and self._subscriptions.synced and self._wire.up

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
        self._subscriptions.watch(self.channel, self._arrived)
        proven: Bridge | None = None
        while True:
            bridge = self._subscriptions.bridge
            if bridge is None or not self._subscriptions.synced:
                await asyncio.sleep(min(0.02, self._interval_s / 10))
                continue
            if bridge is proven:
                await asyncio.wait((bridge.lost,), timeout=self._interval_s)
                if bridge.lost.done():
                    continue
            proven = bridge
            if not await self._check(bridge):
                self._counts.probes_missed += 1
                self._log.warning("probe.missed", after_s=self._timeout_s)
                bridge.fail("the probe did not come back")

    async def _check(self, bridge: Bridge) -> bool:
        """Whether the path lives. Busy is not dead: anything received counts."""
        heard = bridge.heard
        if not await self._done(self._publish()):
            await self._done(bridge.ask())
            return bridge.heard != heard
        if self._awaited is not None:
            await self._done(self._awaited)
        return bridge.heard != heard

    async def _publish(self) -> None:
        """Send a probe. Raises if it could not be sent."""
        self._number += 1
        self._awaited = self._loop.create_future()
        await self._wire.send("PUBLISH", self.channel, b"%d" % self._number)

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
