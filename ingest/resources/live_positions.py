"""Reading live positions: what is in `live:{T}` and still young enough to be shown."""

from datetime import UTC, datetime, timedelta

import msgspec

from common.event import MALFORMED, Moment, effective_time
from common.redis.nodes import Nodes
from common.shards import Shards

_decode_moment = msgspec.json.Decoder(Moment).decode


def is_fresh(event: bytes, oldest: datetime) -> bool:
    """Whether the position is of `oldest` or later; false for bytes that are no event.

    Its age is that of its effective time: a queue that a phone delivers days later is not live.
    """
    try:
        return effective_time(_decode_moment(event))[0] >= oldest
    except MALFORMED:
        return False


class LivePositions:
    """Current positions, none older than `ttl_s`."""

    def __init__(self, nodes: Nodes, shards: Shards, ttl_s: int) -> None:
        self.nodes = nodes
        self.shards = shards
        self._ttl = timedelta(seconds=ttl_s)

    def oldest(self) -> datetime:
        """The effective time of the oldest position that may be shown now."""
        return datetime.now(UTC) - self._ttl

    def is_fresh(self, event: bytes) -> bool:
        """Whether the position in `event` may be shown now."""
        return is_fresh(event, self.oldest())

    async def read(self, driver_id: str) -> bytes | None:
        """The driver's newest event, or None. Raises `Overloaded`, `hiredis.ReplyError`."""
        shards: Shards | None = self.shards
        # While the number of shards changes it may not have moved since.
        while shards is not None:
            shard = shards.of(driver_id)
            wire = self.nodes.wire(shard)
            event: bytes | None = await wire.send("HGET", shard.keys.live, driver_id)
            if event is not None and self.is_fresh(event):
                return event
            shards = shards.older
        return None
