"""Reads what Redis holds of orders: the newest position, the marker of the end, the arrival."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from common.keys import order_bucket
from common.redis.nodes import Nodes
from fanout.orders.hub import Channel


class Snapshots:
    """`ttl_s`: a position older than this says nothing about now (LOCATION_TTL)."""

    def __init__(self, nodes: Nodes, *, ttl_s: float) -> None:
        self._nodes = nodes
        self._ttl = timedelta(seconds=ttl_s)

    async def refresh(self, channels: Sequence[Channel]) -> None:
        """Read all of `channels` and merge. Raises `Overloaded`, `hiredis.ReplyError`.

        The keys of one bucket share a slot, so each bucket takes one command; all leave together.
        """
        buckets: dict[int, list[Channel]] = {}
        for channel in channels:
            buckets.setdefault(order_bucket(channel.order_id), []).append(channel)
        replies = await asyncio.gather(
            *(
                self._nodes.order_wire(some[0].order_id).send(
                    "MGET",
                    *(c.key for c in some),
                    *(c.ended_key for c in some),
                    *(c.arrival_key for c in some),
                )
                for some in buckets.values()
            )
        )
        oldest = datetime.now(UTC) - self._ttl
        for some, found in zip(buckets.values(), replies, strict=True):
            count = len(some)
            markers, arrivals = found[count : 2 * count], found[2 * count :]
            for channel, snapshot, ended, arrival in zip(
                some, found[:count], markers, arrivals, strict=True
            ):
                channel.refresh(snapshot, arrival, ended=ended is not None, oldest=oldest)
