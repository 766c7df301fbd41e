"""Reading live positions: what is in `live:{T}` and still young enough to be shown."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from common.errors import Overloaded
from common.event import MALFORMED, Moment, effective_time
from common.redis.nodes import Nodes
from common.shards import Shard, Shards

_decode_moment = msgspec.json.Decoder(Moment).decode


def is_fresh(event: bytes, oldest: datetime) -> bool:
    """Whether the position is of `oldest` or later; false for bytes that are no event.

    Its age is that of its effective time: a queue that a phone delivers days later is not live.
    """
    try:
        return effective_time(_decode_moment(event))[0] >= oldest
    except MALFORMED:
        return False


class PositionLayers(NamedTuple):
    """Where positions are, the newest first. A question keeps to those that it began with.

    `coming`: the first of them, where it is not known yet whether anybody writes there. A server of
    theirs that does not answer leaves nothing out.
    """

    newest_first: Sequence[Shards]
    coming: Shards | None


class LivePositions:
    """Current positions, none older than `ttl_s`."""

    def __init__(self, nodes: Nodes, shards: Shards, ttl_s: int) -> None:
        self.nodes = nodes
        self._ttl = timedelta(seconds=ttl_s)
        self.adopt(shards)

    def adopt(self, written: Shards, coming: Shards | None = None) -> None:
        """Positions are in the shards that are `written`, and in the older ones behind them.

        They are looked for in those that are `coming`, too: another ingest may know already that
        these are written by now, and nobody is to be shown where a driver was before.
        """
        self.written = written
        layers = (written,) if written.older is None else (written.alone, written.older)
        self.layers = PositionLayers(layers if coming is None else (coming, *layers), coming)

    def oldest(self) -> datetime:
        """The effective time of the oldest position that may be shown now."""
        return datetime.now(UTC) - self._ttl

    def is_fresh(self, event: bytes) -> bool:
        """Whether the position in `event` may be shown now."""
        return is_fresh(event, self.oldest())

    async def read(self, driver_id: str) -> bytes | None:
        """The driver's newest event, or None. Raises `Overloaded`, `hiredis.ReplyError`."""
        layers, coming = self.layers
        for shards in layers:
            try:
                event = await self._read_one(shards.of(driver_id), driver_id)
            except Overloaded:
                if shards is not coming:
                    raise
                continue
            if event is not None:
                return event
        return None

    async def _read_one(self, shard: Shard, driver_id: str) -> bytes | None:
        event = await self.nodes.wire(shard).send("HGET", shard.keys.live, driver_id)
        return event if event is not None and self.is_fresh(event) else None

    async def read_many(self, driver_ids: Collection[str]) -> dict[str, bytes]:
        """The newest events of those drivers that have one. Raises as `read`."""
        found: dict[str, bytes] = {}
        layers, coming = self.layers
        for shards in layers:
            by_shard: dict[Shard, list[str]] = {}
            for driver_id in driver_ids:
                if driver_id not in found:
                    by_shard.setdefault(shards.of(driver_id), []).append(driver_id)
            parts = await asyncio.gather(
                *(self.read_shard(shard, names) for shard, names in by_shard.items()),
                return_exceptions=True,
            )
            for part in parts:
                if isinstance(part, BaseException):
                    if shards is coming and isinstance(part, Overloaded):
                        continue
                    raise part
                found |= {name: event for name, event in part.items() if self.is_fresh(event)}
        return found

    async def read_shard(self, shard: Shard, driver_ids: Sequence[str]) -> dict[str, bytes]:
        """What a shard has of some drivers, however old. Raises as `read`."""
        reply = await self.nodes.wire(shard).send("HMGET", shard.keys.live, *driver_ids)
        pairs = zip(driver_ids, reply, strict=True)
        return {driver_id: event for driver_id, event in pairs if event is not None}
