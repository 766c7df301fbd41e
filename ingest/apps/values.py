"""The apps' values as ours: numbers, units, times, ids. Pure.

A value that makes no sense is unknown (None), as -1 is in most apps: no optional value is worth
a fix.
"""

import math
import re
from datetime import UTC, datetime

from common.ids import is_id

KMH_PER_KNOT = 1.852
KMH_PER_MPS = 3.6
# Digits kept after a conversion: finer than any receiver, and no tail of a binary fraction.
DIGITS = 6
# Bounds beyond which a value is a wrong unit or garbage, and so unknown: an airliner in a jet
# stream, half way round the Earth, a trench in the sea and the edge of space.
SPEED_KMH_MAX = 1_500
ACCURACY_M_MAX = 20_000_000
ALTITUDE_M_MIN, ALTITUDE_M_MAX = -12_000, 100_000

_NUMBER = re.compile(r"[+-]?([0-9]{1,30}([.,][0-9]{0,30})?|[.,][0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
# Numbers above are not exact in a double, so they name nobody for certain.
_EXACT_MAX = 2**53
# The longest spelling of a time that an app may use, with room.
_TIME_LENGTH_MAX = 64


def number(value: object) -> float | None:
    """A finite number out of a number or its text, which may have a decimal comma; else None."""
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return None
        value = value.replace(",", ".")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def within(value: object, least: float, most: float) -> float | None:
    """A number from `least` to `most`, else None."""
    found = number(value)
    return found if found is not None and least <= found <= most else None


def scaled(value: object, factor: float) -> float | None:
    """A number that is 0 or more times `factor`; below is the apps' word for unknown."""
    found = within(value, 0, math.inf)
    return None if found is None else number(round(found * factor, DIGITS))


def knots(value: object) -> float | None:
    """A speed in knots as km/h."""
    return scaled(value, KMH_PER_KNOT)


def metres_per_second(value: object) -> float | None:
    """A speed in m/s as km/h."""
    return scaled(value, KMH_PER_MPS)


def fraction(value: object) -> float | None:
    """A battery level from 0 to 1 as a percentage."""
    return scaled(value, 100)


def moment(value: object) -> datetime | int | float | None:
    """A time as `LocationUpdate` takes it: seconds, milliseconds or ISO 8601; UTC where unsaid.

    None stays None, the server's time. Raises `ValueError` for what is no time at all.
    """
    if value is None or value == "":
        return None
    stamp = number(value)
    if stamp is not None:
        return int(stamp) if stamp.is_integer() else stamp
    if not isinstance(value, str) or len(value) > _TIME_LENGTH_MAX:
        raise ValueError("no time")
    # RFC 3339 allows small letters.
    text = value.strip().upper()
    if "T" in text:
        # An unescaped + of an offset arrives as a blank.
        text = text.replace(" ", "+")
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("no time") from None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def name_text(value: object) -> str:
    """A driver's or order's name as text: apps also send numbers. "" where none is given.

    An integer may arrive as 12345.0: some phones' encoders know only one kind of number.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_MAX:
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def optional_id(value: object) -> str | None:
    """An id, or None for none (null, a blank text). Raises `ValueError` for what is no id."""
    text = name_text(value)
    if value is None or (not text and isinstance(value, str)):
        return None
    if not is_id(text):
        raise ValueError("no id")
    return text
