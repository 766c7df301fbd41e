"""What customers are shown: how many frames, and how old some of them are."""

from datetime import UTC, datetime

from common.metrics.histogram import Histogram
from common.metrics.names.fanout import FRAME_AGE

# One read from Redis of so many is looked at (a power of two, less one): dating an event costs
# 2 µs, a frame to one socket 10.
LOOK_MASK = 31
_RECEIVED = b'"received_at":"'
# As events have it: up to the Z, with or without a fraction of the second.
_TIME_BYTES_MAX = 27


class FrameCounts:
    """Of one process. `Channel.deliver` adds to `frames`, the bridge calls `look`."""

    __slots__ = ("ages", "frames")

    def __init__(self) -> None:
        self.frames = 0
        self.ages = Histogram(FRAME_AGE)

    def look(self, message: bytes) -> None:
        """Note the age of an event that has just been shown; other messages have none."""
        age_s = age_of(message, datetime.now(UTC))
        if age_s is not None:
            self.ages.observe(age_s)


def age_of(event: bytes, now: datetime) -> float | None:
    """Seconds since ingest received the fix; None for bytes that are no event of ours."""
    begin = event.rfind(_RECEIVED) + len(_RECEIVED)
    end = event.find(b'"', begin, begin + _TIME_BYTES_MAX + 1)
    try:
        received_at = datetime.fromisoformat(event[begin:end].decode("ascii"))
        return max(0.0, (now - received_at).total_seconds())
    except (ValueError, TypeError):
        return None
