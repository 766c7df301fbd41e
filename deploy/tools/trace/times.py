"""Times of a trace: how they are spelled, and which of them cannot be right. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from common.event import EPOCH, EPOCH_MS_FROM
from deploy.tools.trace.number import number_of

# A time this far from the others is wrong: a clock that began in 1970, a GPS week rollover (1,024
# weeks). Nearer than this nothing is judged: a trace may hold several rides. The API takes fixes
# of the last 30 days, so of times further apart it could take only one.
FAR_S = 30 * 86_400
# In a trace of years the others lie far from their median too: half of them within the median
# distance, and in an even spread all within twice that.
DISTANCES = 5
_UNITS = (("years", 31_557_600), ("days", 86_400), ("h", 3_600), ("min", 60))


def parse_time(value: object) -> datetime:
    """ISO 8601 (UTC where it names no offset), epoch seconds or milliseconds. Raises ValueError."""
    number = number_of(value)
    try:
        if number is not None:
            seconds = number / 1000 if abs(number) >= EPOCH_MS_FROM else number
            return EPOCH + timedelta(seconds=seconds)
        text = str(value).strip()
        when = datetime.fromisoformat(text[:-1] + "Z" if text.endswith("z") else text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError(f"recorded_at: {str(value)[:40]!r} is not a time") from None


def far_off(times: Sequence[datetime]) -> list[float | None]:
    """Seconds between each time and the median where that is too far to be right, else None."""
    if not times:
        return []
    seconds = [when.timestamp() for when in times]
    middle = median(seconds)
    distances = [abs(at - middle) for at in seconds]
    most = max(FAR_S, DISTANCES * median(distances))
    return [distance if distance > most else None for distance in distances]


def span(seconds: float) -> str:
    """A length of time for people, in one unit."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
