"""What customers are shown, counted where it happens: frames, and how old some of them are."""

from datetime import UTC, datetime

from common.metrics.histogram import Histogram
from common.metrics.names.fanout import FRAME_AGE
from common.trace import Stage, Tracing

# One message of so many is dated: that costs 2 µs, a frame to one socket 10.
LOOK_EVERY = 32
_RECEIVED = b'"received_at":"'
# As events have it: up to the Z, with or without a fraction of the second.
_TIME_BYTES_MAX = 27


class FrameCounts:
    """Of one process. `Channel.deliver` counts in it; `until_look` messages on it calls `look`."""

    __slots__ = ("_every", "_tracing", "ages", "frames", "until_look")

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.frames = 0
        self.ages = Histogram(FRAME_AGE)
        self._tracing = tracing if tracing is not None and tracing.on else None
        # Of followed fixes none may be missed.
        self._every = 1 if self._tracing is not None else LOOK_EVERY
        self.until_look = self._every

    def look(self, event: bytes) -> None:
        """Note the age of an event that has just been shown, and leave its line if it has one."""
        self.until_look = self._every
        age_s = age_of(event, datetime.now(UTC))
        if age_s is not None:
            self.ages.observe(age_s)
            if self._tracing is not None and self._tracing.picks(event):
                self._tracing.note(Stage.SENT, event)


def age_of(event: bytes, now: datetime) -> float | None:
    """Seconds since ingest received the fix; None for bytes that are no event of ours."""
    begin = event.rfind(_RECEIVED) + len(_RECEIVED)
    end = event.find(b'"', begin, begin + _TIME_BYTES_MAX + 1)
    try:
        received_at = datetime.fromisoformat(event[begin:end].decode("ascii"))
        return max(0.0, (now - received_at).total_seconds())
    except (ValueError, TypeError):
        return None
