"""The servers that hold orders, some of which may be away while the shard's own is not.

In a cluster an order lies on another primary than the driver who carries it. A primary that is dead
or stands still must not hold up the drivers of others: it is given a moment, and then left out for
a while. What was to be asked or written there waits.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import hiredis

from common.errors import Overloaded
from common.log import Repeated, get
from common.redis.cluster.each_server import AWAY
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire

# Longest wait of the live stage for another server than its own. It answers in milliseconds.
ANSWER_TIMEOUT_S = 0.5
# How long one that did not answer is left out. A failover takes seconds.
AWAY_S = 2.0


class OrderServers:
    """Which server has an order, and whether it answers. Of one server: always."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._away_until_s: dict[Wire, float] = {}
        self._trouble = Repeated(get("live"), "live.orders_away")

    def of(self, order_id: str) -> Wire:
        """The connection to the server of an order."""
        return self._nodes.order_wire(order_id)

    @property
    def apart(self) -> bool:
        """Whether orders are on other servers than the shard."""
        return self._nodes.is_cluster

    def is_away(self, wire: Wire) -> bool:
        """Whether nothing is to be sent there now."""
        if not self._nodes.is_cluster:
            return False
        return not wire.up or time.monotonic() < self._away_until_s.get(wire, 0.0)

    def note_away(self, wire: Wire) -> None:
        """It did not answer in time."""
        now_s = time.monotonic()
        self._away_until_s = {w: s for w, s in self._away_until_s.items() if s > now_s}
        self._away_until_s[wire] = now_s + AWAY_S
        self._trouble.failed(servers=len(self._away_until_s))

    async def ask(self, asked: Mapping[Wire, Sequence[Command]]) -> dict[Wire, list[Reply]]:
        """The replies of each server. In a cluster those are missing that do not answer in time;
        a server that is alone raises `Overloaded`.
        """
        if not self._nodes.is_cluster:
            return {wire: await wire.pipeline_raw(asked[wire]) for wire in asked}
        replies = await asyncio.gather(*(self._ask(wire, asked[wire]) for wire in asked))
        return {w: r for w, r in zip(asked, replies, strict=True) if r is not None}

    async def _ask(self, wire: Wire, commands: Sequence[Command]) -> list[Reply] | None:
        if self.is_away(wire):
            return None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                replies = await wire.pipeline_raw(commands)
        except (Overloaded, TimeoutError):
            self.note_away(wire)
            return None
        if any(isinstance(r, hiredis.ReplyError) and str(r).startswith(AWAY) for r in replies):
            self.note_away(wire)
            return None
        return replies
