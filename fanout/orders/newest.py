"""Which of two events, or of two arrivals, a customer is shown: the newer. Pure."""

from datetime import datetime

from common.errors import PoisonEntry
from common.event import moment_of
from common.frame import DRIVER_PREFIX, computed_at


def driver_prefix(event: bytes) -> bytes:
    """The bytes of an event up to the quote behind its driver's id, which holds no quotes."""
    return event[: event.index(b'"', len(DRIVER_PREFIX)) + 1]


def newer(event: bytes, than: bytes | None) -> bool:
    """Whether `event` is newer by effective time. Bytes that are no event are never newer."""
    if event == than:
        return False
    try:
        moment = moment_of(event)
        return than is None or moment > moment_of(than)
    except PoisonEntry:
        return False


def is_since(oldest: datetime, event: bytes) -> bool:
    """Whether `event` counts as of `oldest` or later. Bytes that are no event never do."""
    try:
        return moment_of(event)[0] >= oldest
    except PoisonEntry:
        return False


def newest_arrival(shown: bytes | None, stored: bytes | None, oldest: datetime) -> bytes | None:
    """The later of two arrivals; None where that was computed before `oldest`."""
    times = [(at, frame) for frame in (shown, stored) if frame and (at := computed_at(frame))]
    at, frame = max(times, default=(oldest, None), key=lambda found: found[0])
    return frame if at >= oldest else None
