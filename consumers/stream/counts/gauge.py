"""What waits in a stream, seen once a second: the number for the day that Redis forgets it."""

import time
from typing import NamedTuple

import hiredis

from common.keys import ShardKeys
from common.redis.wire import Wire
from consumers.stream.groups import START, find_group, groups_of, is_key_missing, waiting_in


class StreamLook(NamedTuple):
    """A look: entries never delivered, entries pending, the newest id, and when (monotonic)."""

    lag: int
    pending: int
    last_id: bytes
    at_s: float


class StreamGauge:
    """The last look at one stream. Holds no rules."""

    def __init__(self, wire: Wire, keys: ShardKeys, *, group: str) -> None:
        self._wire = wire
        self._stream = keys.stream
        self._group = group
        self.seen: StreamLook | None = None

    async def look(self) -> bool:
        """See what waits; whether the group is there. Without it what was seen stays.

        Raises `Overloaded` or `hiredis.ReplyError`.
        """
        try:
            stream, groups = await self._wire.pipeline(
                [("XINFO", "STREAM", self._stream), ("XINFO", "GROUPS", self._stream)]
            )
        except hiredis.ReplyError as e:
            if not is_key_missing(e):
                raise
            return False
        facts = dict(zip(stream[::2], stream[1::2], strict=True))
        place = find_group(groups_of(groups), self._group)
        if place is None:
            return False
        lag = waiting_in(place, facts[b"length"])
        self.seen = StreamLook(lag, place.pending, facts[b"last-generated-id"], time.monotonic())
        return True

    async def what_a_loss_took(self) -> dict[str, object]:
        """Facts for the alarm that the group is gone: what was seen waiting, and how long ago.

        What was accepted after that look nobody has seen. With `stream_left` only the group is
        gone: all that the stream holds is read again.
        """
        seen = self.seen
        if seen is None:
            return {"seen_before_s": None}
        left = bool(await self._wire.send("XRANGE", self._stream, "-", seen.last_id, "COUNT", 1))
        self.seen = StreamLook(0, 0, START, time.monotonic())
        return {
            "waited": seen.lag + seen.pending,
            "last_id": seen.last_id.decode(),
            "seen_before_s": round(time.monotonic() - seen.at_s, 1),
            "stream_left": left,
        }
