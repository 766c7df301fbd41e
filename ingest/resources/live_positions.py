"""Reading live positions: what is in `live:{s}` and still young enough to be shown."""

from datetime import UTC, datetime, timedelta

import msgspec

from common.event import MALFORMED, Moment
from common.keys import shard_keys, shard_of
from common.redis.wire import Wire

_decode_moment = msgspec.json.Decoder(Moment).decode


def is_fresh(event: bytes, oldest: datetime) -> bool:
    """Whether the event was received at `oldest` or later; false for bytes that are no event."""
    try:
        return _decode_moment(event).received_at >= oldest
    except MALFORMED:
        return False


class Live:
    """Current positions, read over a worker's `Wire`."""

    def __init__(self, wire: Wire, stream_name: str, shards: int, ttl_s: int) -> None:
        self.wire = wire
        self.shards = shards
        self.keys = [shard_keys(stream_name, s) for s in range(shards)]
        self._ttl = timedelta(seconds=ttl_s)

    def oldest(self) -> datetime:
        """The arrival of the oldest position that may be shown now."""
        return datetime.now(UTC) - self._ttl

    async def read(self, driver_id: str) -> bytes | None:
        """The driver's newest event, or None. Raises `Overloaded`, `hiredis.ReplyError`."""
        key = self.keys[shard_of(driver_id, self.shards)].live
        event: bytes | None = await self.wire.send("HGET", key, driver_id)
        return event if event is not None and is_fresh(event, self.oldest()) else None
