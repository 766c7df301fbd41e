"""The way that an order's driver is on, and how far along it the driver is. Pure.

A way is asked for once and then driven along: what is left is that of its line behind the driver.
Who is farther from the line than `OFF_M` took another way, which must be asked for.
"""

from itertools import accumulate
from math import cos, hypot, radians

from common.geo.sphere import EARTH_RADIUS_M
from common.roads.way import Point, Way

OFF_M = 60.0
# How much of the line is looked at beyond where the driver was: more than is driven between two
# looks. A way that comes by the same place again later is not taken for its end.
LOOK_M = 1500.0
_DEGREE_M = radians(1.0) * EARTH_RADIUS_M


class Course:
    """A way, and the driver's place on it."""

    __slots__ = ("_index", "_left_m", "_left_s", "_share", "way")

    def __init__(self, way: Way) -> None:
        self.way = way
        # Of each point: what is left from there.
        self._left_s = _left(way.step_s)
        self._left_m = _left(way.step_m)
        # The step that the driver is on, and the share of it that is driven.
        self._index = 0
        self._share = 0.0

    def advance(self, here: Point) -> float:
        """Go along the line to where it is nearest to `here`; metres between the two.

        The driver never goes back on it, and stays where it was if it is off the line.
        """
        points, left_m = self.way.points, self._left_m
        latitude, longitude = here
        north, east = _DEGREE_M, _DEGREE_M * cos(radians(latitude))
        until_m = left_m[self._index] - LOOK_M
        best = (float("inf"), self._index, self._share)
        y, x = _offset(points[self._index], latitude, longitude, north, east)
        for index in range(self._index, len(points) - 1):
            if left_m[index] < until_m:
                break
            y1, x1 = _offset(points[index + 1], latitude, longitude, north, east)
            dy, dx = y1 - y, x1 - x
            square = dy * dy + dx * dx
            share = min(1.0, max(0.0, -(y * dy + x * dx) / square)) if square else 0.0
            if index == self._index:
                share = max(share, self._share)
            off_m = hypot(y + share * dy, x + share * dx)
            if off_m < best[0]:
                best = (off_m, index, share)
            y, x = y1, x1
        if best[0] <= OFF_M:
            _, self._index, self._share = best
        return best[0]

    @property
    def rest_s(self) -> float:
        """Seconds from the driver's place to the end."""
        return self._left(self._left_s, self.way.step_s)

    @property
    def rest_m(self) -> float:
        """Metres likewise."""
        return self._left(self._left_m, self.way.step_m)

    def _left(self, left: tuple[float, ...], steps: tuple[float, ...]) -> float:
        return max(0.0, left[self._index] - self._share * steps[self._index])


def _left(steps: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(accumulate(reversed(steps), initial=0.0))[::-1]


def _offset(
    point: Point, latitude: float, longitude: float, north: float, east: float
) -> tuple[float, float]:
    """Metres north and east of a place, on a plane; right across 180° too."""
    degrees = (point[1] - longitude + 180.0) % 360.0 - 180.0
    return (point[0] - latitude) * north, degrees * east
