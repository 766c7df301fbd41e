"""Places within some metres of a line, many lines at once, for numpy (extra `places`). Pure.

A line is cut into pieces so short that each is straight in space too, and distances are measured
in space, from unit vectors: so poles and the antimeridian are places like any other. A circle is
one piece of no length: its chord is that of the haversine formula.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import asin, ceil, cos, degrees, pi, radians, sin, sqrt
from typing import Any

import numpy as np

from common.geo.shape import LngLat, Shape
from common.geo.sphere import EARTH_RADIUS_M

Array = Any
# West, south, east, north in degrees; west ≤ east.
Bounds = tuple[float, float, float, float]
# How far a piece may lie from its line, in metres: less than a fix can tell.
_BULGE_M = 0.25
# Rounding must leave no point of a circle outside its box: some millimetres, in degrees.
_SLACK = 1e-7


class Strips:
    """Pieces of lines, each with how far it reaches, and the distance of points from them."""

    def __init__(self, pieces: Sequence[tuple[LngLat, LngLat]], reaches_m: Sequence[float]) -> None:
        ends = np.array(pieces, dtype=float).reshape(-1, 2, 2)
        self._begins = vectors(ends[:, 0, 0], ends[:, 0, 1])
        self._spans = vectors(ends[:, 1, 0], ends[:, 1, 1]) - self._begins
        lengths = np.einsum("ij,ij->i", self._spans, self._spans)
        # A piece of no length is nearest at its beginning.
        self._shrinks = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        half_chords = np.sin(np.asarray(reaches_m, dtype=float) / (2 * EARTH_RADIUS_M))
        self._reaches = 4 * half_chords * half_chords

    def hold(self, points: Array, pieces: Array) -> Array:
        """For pairs of a point (a unit vector) and a piece (its number): is it within reach."""
        return self._squares(points, pieces) <= self._reaches[pieces]

    def distance_m(self, point: Array) -> float:
        """Metres from one point to the nearest piece."""
        square = float(self._squares(point, slice(None)).min())
        return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(square) / 2))

    def _squares(self, points: Array, pieces: Array) -> Array:
        """Squares of the chords from each point to its piece, on the unit sphere."""
        away = points - self._begins[pieces]
        spans = self._spans[pieces]
        along = np.einsum("ij,ij->i", away, spans) * self._shrinks[pieces]
        away -= np.clip(along, 0.0, 1.0)[:, None] * spans
        return np.einsum("ij,ij->i", away, away)


def vectors(longitudes: Array, latitudes: Array) -> Array:
    """Unit vectors of places in degrees, one a row."""
    lng, lat = np.radians(longitudes), np.radians(latitudes)
    level = np.cos(lat)
    return np.stack((level * np.cos(lng), level * np.sin(lng), np.sin(lat)), axis=-1)


def pieces_of(line: Sequence[LngLat]) -> list[tuple[LngLat, LngLat]]:
    """A line (or ring) as pieces of which none bulges by more than `_BULGE_M`."""
    if len(line) == 1:
        return [(line[0], line[0])]
    found: list[tuple[LngLat, LngLat]] = []
    for a, b in pairwise(line):
        count = _pieces(a, b)
        points = [
            (a[0] + (b[0] - a[0]) * n / count, a[1] + (b[1] - a[1]) * n / count)
            for n in range(count)
        ]
        found += pairwise([*points, b])
    return found


def _pieces(a: LngLat, b: LngLat) -> int:
    """Into how many an edge is cut.

    An edge of d degrees east on latitude φ bulges from the great circle by R·d²·sin φ·cos φ / 8,
    and rising less than that; the chord under an arc L long by L²/8R. Both fall with the square.
    """
    low, high = sorted((abs(a[1]), abs(b[1])))
    steepest = radians(min(max(45.0, low), high))
    east = radians(abs(b[0] - a[0]))
    rise = radians(abs(b[1] - a[1]))
    sideways = east * east * max(sin(steepest) * cos(steepest), 0.0) + 2 * east * rise
    level = east * cos(radians(low))
    bulge_m = EARTH_RADIUS_M * (sideways + level * level + rise * rise) / 8
    return max(1, ceil(sqrt(bulge_m / _BULGE_M)))


def boxes_of(a: LngLat, b: LngLat, reach_m: float) -> list[Bounds]:
    """Boxes within the map's edges that hold all within reach of a piece."""
    reach = reach_m / EARTH_RADIUS_M
    up = degrees(reach) + _SLACK
    south, north = min(a[1], b[1]) - up, max(a[1], b[1]) + up
    if south <= -90 or north >= 90:
        return [(-180.0, max(south, -90.0), 180.0, min(north, 90.0))]
    # The meridians that touch a circle of angle r at latitude φ: asin(sin r / cos φ) away.
    ratio = sin(min(reach, pi / 2)) / cos(radians(max(abs(a[1]), abs(b[1]))))
    if ratio >= 1:
        return [(-180.0, south, 180.0, north)]
    wide = degrees(asin(ratio)) + _SLACK
    return split(min(a[0], b[0]) - wide, south, max(a[0], b[0]) + wide, north)


def split(west: float, south: float, east: float, north: float) -> list[Bounds]:
    """A box with unwound longitudes as one or two within -180…180."""
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    turn = 360.0 * ((west + 180.0) // 360.0)
    west, east = west - turn, east - turn
    if east <= 180:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east - 360.0, north)]


def edge_of(shape: Shape) -> Strips:
    """The edges of a shape's areas, or its line: what the distance from it is measured to."""
    lines = [ring for rings in shape.areas for ring in rings] or [shape.line]
    pieces = [piece for line in lines for piece in pieces_of(line)]
    return Strips(pieces, [shape.reach_m] * len(pieces))
