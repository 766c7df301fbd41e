"""What is wrong with a phone's clock when it dates a fix too far from now. Pure."""

from datetime import UTC, datetime, timedelta

from common.errors import InvalidUpdate
from common.event import EPOCH, LocationUpdate, TimeLimits, Timestamp, recorded_time
from ingest.apps.reason import Reason

# GPS counts weeks in ten bits: a receiver that takes the count for another one's dates its fixes
# this far off.
ROLLOVER = timedelta(weeks=1024)
# Where a clock begins that nobody has set: Unix time, and GPS time.
STARTS = (EPOCH, datetime(1980, 1, 6, tzinfo=UTC))

# Longer than from the first year of `datetime` to its last.
_EVER_S = 10_000 * 366 * 86_400.0
_NO_LIMITS = TimeLimits(_EVER_S, _EVER_S)


def time_reason(stamp: Timestamp, now: datetime, limits: TimeLimits) -> Reason:
    """Why `limits` do not allow the time `stamp` of a fix."""
    try:
        when = recorded_time(stamp, now, _NO_LIMITS)
    except InvalidUpdate:
        return Reason.NO_TIME
    ahead_s = (when - now).total_seconds()
    for off in (ROLLOVER, -ROLLOVER):
        if -limits.age_max_s <= ahead_s - off.total_seconds() <= limits.future_max_s:
            return Reason.CLOCK_WEEKS_OFF
    if any(0 <= (when - start).total_seconds() <= limits.age_max_s for start in STARTS):
        return Reason.CLOCK_NOT_SET
    return Reason.IN_THE_FUTURE if ahead_s > 0 else Reason.TOO_OLD


def leave_to_server(update: LocationUpdate, now: datetime, limits: TimeLimits) -> bool:
    """Take the time of an update away if `limits` do not allow it; whether they do not."""
    try:
        recorded_time(update.recorded_at, now, limits)
    except InvalidUpdate:
        update.recorded_at = None
        return True
    return False
