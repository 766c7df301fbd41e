"""The shape of a fence: areas, and what lies near a line. Pure, without any library.

Edges are straight in longitude and latitude, as GeoJSON says (RFC 7946, 3.1.1). Longitudes are
unwound: a ring or a line that crosses 180° goes on beyond it (179, 181), so that each of its steps
is the short one. A circle is a line of one point.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, radians, sin

import msgspec

from common.geo.sphere import EARTH_RADIUS_M, distance_m

# Longitude, latitude in degrees, as GeoJSON has them.
LngLat = tuple[float, float]
Ring = Sequence[LngLat]
# The outer ring, and its holes; the last point of a ring is its first.
Rings = Sequence[Ring]


class Shape(msgspec.Struct, frozen=True):
    """Areas, or a line with how far it reaches to all sides, in metres: one of the two."""

    areas: Sequence[Rings] = ()
    line: Sequence[LngLat] = ()
    reach_m: float = 0.0

    @property
    def vertices(self) -> int:
        """How many points it has."""
        return len(self.line) + sum(len(ring) for rings in self.areas for ring in rings)

    @property
    def area_km2(self) -> float:
        """What its areas cover, holes taken off; overlaps count twice."""
        return sum(
            ring_area_km2(outer) - sum(map(ring_area_km2, holes)) for outer, *holes in self.areas
        )

    @property
    def length_km(self) -> float:
        """How long its line is."""
        steps = pairwise(self.line)
        return sum(distance_m(a[1], a[0], b[1], b[0]) for a, b in steps) / 1000


def ring_area_km2(ring: Ring) -> float:
    """What a ring encloses on the sphere: the integral of sin(latitude) along it, exact."""
    total = 0.0
    for (lng, lat), (lng2, lat2) in pairwise(ring):
        phi, phi2 = radians(lat), radians(lat2)
        rise = phi2 - phi
        # The mean of the sine along an edge; where it does not rise, the sine itself.
        mean = sin(phi) if abs(rise) < 1e-9 else (cos(phi) - cos(phi2)) / rise
        total += radians(lng2 - lng) * mean
    return abs(total) * (EARTH_RADIUS_M / 1000) ** 2


def unwound(points: Ring) -> Ring:
    """The points with each step the short way round; the first stays where it is."""
    if all(abs(b[0] - a[0]) <= 180 for a, b in pairwise(points)):
        return points
    shift, before, found = 0.0, points[0][0], []
    for lng, lat in points:
        step = lng - before
        shift -= 360.0 * (step > 180) - 360.0 * (step < -180)
        before = lng
        found.append((lng + shift, lat))
    return found


def unwound_ring(ring: Ring) -> Ring:
    """A closed ring unwound. One that goes round a pole gets the pole's edge of the map.

    One that runs along the edge of the map itself (from 180 to -180 at a pole) stays as it is.
    """
    jumps = [abs(b[0] - a[0]) for a, b in pairwise(ring) if abs(b[0] - a[0]) > 180]
    if not jumps or (min(jumps) == 360.0 and any(abs(lat) == 90 for _, lat in ring)):
        return ring
    open_ring = unwound(ring)
    first, last = open_ring[0], open_ring[-1]
    if abs(last[0] - first[0]) < 180:
        return open_ring
    pole = 90.0 if sum(lat for _, lat in ring) > 0 else -90.0
    return [*open_ring, (last[0], pole), (first[0], pole), first]
