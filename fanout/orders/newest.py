"""Which of two events, or of two arrivals, a customer is shown: the newer. Pure."""

from datetime import datetime

from common.errors import PoisonEntry
from common.event import moment_of
from common.frame import DRIVER_PREFIX, computed_at

Time = tuple[datetime, datetime]


def driver_prefix(event: bytes) -> bytes:
    """The bytes of an event up to the quote behind its driver's id, which holds no quotes."""
    return event[: event.index(b'"', len(DRIVER_PREFIX)) + 1]


def time_of(event: bytes) -> Time | None:
    """The effective time of `event`: the later is newer. None for bytes that are no event."""
    try:
        return moment_of(event)
    except PoisonEntry:
        return None


def is_since(oldest: datetime, event: bytes) -> bool:
    """Whether `event` counts as of `oldest` or later. Bytes that are no event never do."""
    time = time_of(event)
    return time is not None and time[0] >= oldest


def newest_arrival(shown: bytes | None, stored: bytes | None, oldest: datetime) -> bytes | None:
    """The later of two arrivals; None where that was computed before `oldest`."""
    times = [(at, frame) for frame in (shown, stored) if frame and (at := computed_at(frame))]
    at, frame = max(times, default=(oldest, None), key=lambda found: found[0])
    return frame if at >= oldest else None
