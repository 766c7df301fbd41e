"""Which of two events, or of two arrivals, a customer is shown: the newer. Pure."""

from datetime import datetime

import msgspec

from common.event import MALFORMED, Moment, effective_time
from common.frame import DRIVER_PREFIX, computed_at

_decode_moment = msgspec.json.Decoder(Moment).decode


def driver_prefix(event: bytes) -> bytes:
    """The bytes of an event up to the quote behind its driver's id, which holds no quotes."""
    return event[: event.index(b'"', len(DRIVER_PREFIX)) + 1]


def moment_in(event: bytes) -> Moment | None:
    """The times of `event`; None for bytes that are no event."""
    try:
        return _decode_moment(event)
    except MALFORMED:
        return None


def is_newer(moment: Moment, than: Moment) -> bool:
    """Whether an event is the newer one by effective time."""
    if moment.recorded_at > than.recorded_at and moment.received_at > than.received_at:
        # As nearly always; it takes less than the whole rule.
        return True
    return effective_time(moment) > effective_time(than)


def is_since(oldest: datetime, event: bytes) -> bool:
    """Whether `event` counts as of `oldest` or later. Bytes that are no event never do."""
    moment = moment_in(event)
    return moment is not None and effective_time(moment)[0] >= oldest


def newest_arrival(shown: bytes | None, stored: bytes | None, oldest: datetime) -> bytes | None:
    """The later of two arrivals; None where that was computed before `oldest`."""
    times = [(at, frame) for frame in (shown, stored) if frame and (at := computed_at(frame))]
    at, frame = max(times, default=(oldest, None), key=lambda found: found[0])
    return frame if at >= oldest else None
