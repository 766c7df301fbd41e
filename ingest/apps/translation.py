"""What an app's request means: fixes to store, and what became of everything else. Pure.

Each app's file reads a request into `Reading`s, one by one, so that a long body can be judged in
pieces. A position and a time decide whether a fix can be stored; nothing else is worth one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from common.event import LocationUpdate
from ingest.apps.reason import REFUSED, Reason
from ingest.apps.upload import Upload, unknown_shape
from ingest.apps.values import (
    ACCURACY_M_MAX,
    ALTITUDE_M_MAX,
    ALTITUDE_M_MIN,
    SPEED_KMH_MAX,
    moment,
    number,
    optional_id,
    within,
)


class Unusable(ValueError):
    """A reading that is no fix."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reading:
    """A driver's fix as an app spelled it: values of any type; `speed` is km/h, `battery` %."""

    driver_id: str
    latitude: object
    longitude: object
    time: object = None
    speed: float | None = None
    heading: object = None
    accuracy: object = None
    altitude: object = None
    battery: float | None = None
    order_id: object = None


# What an app's file gives of each item of a request, in its order: a fix, or why there is none.
Item = Reading | Reason
# Reads a request. Raises `InvalidUpdate` when the app is set up wrongly.
Reader = Callable[[Upload], Iterator[Item]]


@dataclass(slots=True)
class Translation:
    """Fixes by driver, in the order they were sent, and how often each other thing happened."""

    fixes: list[tuple[str, LocationUpdate]] = field(default_factory=list)
    counts: Counter[Reason] = field(default_factory=Counter)
    # Every driver that an item names, also an item that can never be stored.
    drivers: set[str] = field(default_factory=set)

    def add(self, item: Item, *, server_time: bool = False) -> None:
        """Take an item of a request. `server_time`: a time that is none is replaced by ours."""
        if isinstance(item, Reason):
            self.counts[item] += 1
            return
        self.drivers.add(item.driver_id)
        try:
            update = self._update(item, server_time=server_time)
        except Unusable as e:
            self.counts[e.reason] += 1
        else:
            self.fixes.append((item.driver_id, update))

    def _update(self, reading: Reading, *, server_time: bool) -> LocationUpdate:
        latitude = within(reading.latitude, -90, 90)
        longitude = within(reading.longitude, -180, 180)
        if latitude is None or longitude is None:
            raise Unusable(Reason.NO_POSITION)
        accuracy = number(reading.accuracy)
        if accuracy is not None and accuracy < 0:
            # So iOS says that latitude and longitude mean nothing.
            raise Unusable(Reason.INVALID_POSITION)
        try:
            recorded_at = moment(reading.time)
        except ValueError as e:
            if not server_time:
                raise Unusable(Reason.NO_TIME) from e
            self.counts[Reason.SERVER_TIME] += 1
            recorded_at = None
        try:
            order_id = optional_id(reading.order_id)
        except ValueError:
            self.counts[Reason.WITHOUT_ORDER] += 1
            order_id = None
        return LocationUpdate(
            latitude=latitude,
            longitude=longitude,
            speed=within(reading.speed, 0, SPEED_KMH_MAX),
            heading=within(reading.heading, 0, 360),
            accuracy=within(accuracy, 0, ACCURACY_M_MAX),
            altitude=within(reading.altitude, ALTITUDE_M_MIN, ALTITUDE_M_MAX),
            battery=within(reading.battery, 0, 100),
            order_id=order_id,
            recorded_at=recorded_at,
        )

    @property
    def refused(self) -> int:
        """How many fixes can never be stored."""
        return sum(count for reason, count in self.counts.items() if reason in REFUSED)

    @property
    def unstored(self) -> int:
        """How many items cost work and become no row."""
        return self.refused + self.counts[Reason.NO_INTEREST]

    def require_known_shape(self, expected: str) -> None:
        """Raise `InvalidUpdate` (422) when nothing of the request was what the app sends."""
        if not self.fixes and set(self.counts) == {Reason.UNKNOWN_SHAPE}:
            raise unknown_shape(expected)
