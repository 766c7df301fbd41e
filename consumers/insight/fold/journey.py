"""Fixes as the fold uses them, and the trip that is under way. Pure."""

from math import asin, cos, radians, sin, sqrt

from common.geo.sphere import EARTH_RADIUS_M
from consumers.insight.fold.results import BEGINNING_US, Trip

_DIAMETER_M = 2 * EARTH_RADIUS_M


# A fix as the fold uses it: its time in microseconds, latitude and longitude in degrees, both in
# radians, and the cosine of the latitude. A plain tuple: a named one costs the fold 10 %.
Spot = tuple[int, float, float, float, float, float]


def spot(at_us: int, latitude: float, longitude: float) -> Spot:
    """A spot from degrees."""
    phi = radians(latitude)
    return (at_us, latitude, longitude, phi, radians(longitude), cos(phi))


# Where a driver was before its first fix: so long ago (1901) that a gap follows.
NOWHERE = spot(BEGINNING_US, 0.0, 0.0)


def between(a: Spot, b: Spot) -> float:
    """Metres between two spots."""
    along, across = sin((b[3] - a[3]) * 0.5), sin((b[4] - a[4]) * 0.5)
    h = along * along + a[5] * b[5] * across * across
    return _DIAMETER_M * asin(sqrt(min(1.0, h)))


class Journey:
    """The trip that is under way, as far as it is certain: up to the anchor."""

    __slots__ = ("distance_m", "fixes", "moving_us", "speed_max", "start")

    def __init__(
        self,
        start: Spot,
        distance_m: float = 0.0,
        moving_us: int = 0,
        speed_max: float = -1.0,
        fixes: int = 1,
    ) -> None:
        self.start = start
        self.distance_m = distance_m
        self.moving_us = moving_us
        self.speed_max = speed_max
        self.fixes = fixes

    def trip(self, end: Spot, *, is_open: bool = False) -> Trip:
        """As it is when it ends at `end`."""
        start, top = self.start, self.speed_max
        return Trip(
            start[0], end[0], start[1], start[2], end[1], end[2], self.distance_m,
            self.moving_us, top if top >= 0 else None, self.fixes, is_open,
        )  # fmt: skip
