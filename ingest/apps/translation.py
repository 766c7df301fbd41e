"""What an app's request means, and how its values become ours. Pure.

A position and a time decide whether a fix can be stored. Everything else is welcome and not worth
a fix: a value that makes no sense is unknown (None), as -1 is in most apps.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from common.event import LocationUpdate, is_id

KMH_PER_KNOT = 1.852
KMH_PER_MPS = 3.6
# Digits kept after a conversion: finer than any receiver, and no tail of a binary fraction.
DIGITS = 6

_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
# The longest spelling of a time that an app may use, with room.
_TIME_LENGTH_MAX = 64


@dataclass(slots=True)
class Translation:
    """Fixes by driver, oldest first as sent, and why others can never be stored.

    Both empty: the request is of no interest (a greeting, a waypoint), and answered all the same.
    """

    fixes: list[tuple[str, LocationUpdate]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, driver_id: str, reading: "Reading") -> None:
        """Take a reading as the driver's fix, or note why not."""
        try:
            self.fixes.append((driver_id, reading.update()))
        except ValueError as e:
            self.refused.append(str(e))


@dataclass(frozen=True, slots=True)
class Reading:
    """A fix as an app spelled it: values of any type; `speed` is already km/h, `battery` %."""

    latitude: object
    longitude: object
    time: object = None
    speed: float | None = None
    heading: object = None
    accuracy: object = None
    altitude: object = None
    battery: float | None = None
    order_id: object = None

    def update(self) -> LocationUpdate:
        """The validated update. Raises `ValueError` that says what makes it unusable."""
        order_id = self.order_id
        if order_id is not None and not (isinstance(order_id, str) and is_id(order_id)):
            raise ValueError("order_id")
        return LocationUpdate(
            latitude=_degrees(self.latitude, 90, "latitude"),
            longitude=_degrees(self.longitude, 180, "longitude"),
            speed=within(self.speed, 0, math.inf),
            heading=within(self.heading, 0, 360),
            accuracy=within(self.accuracy, 0, math.inf),
            altitude=number(self.altitude),
            battery=within(self.battery, 0, 100),
            order_id=order_id,
            recorded_at=moment(self.time),
        )


def number(value: object) -> float | None:
    """A finite number out of a number or its text, else None."""
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return None
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
        raise ValueError("time")
    # An unescaped + of an offset arrives as a blank.
    text = value.strip().replace(" ", "+") if "T" in value else value.strip()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("time") from None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _degrees(value: object, most: float, name: str) -> float:
    found = within(value, -most, most)
    if found is None:
        raise ValueError(name)
    return found
