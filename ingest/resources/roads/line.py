"""Lines as GeoJSON (RFC 7946). Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from common.roads.way import Point

Coordinates = list[list[float]]


def line_geometry(lines: Sequence[Sequence[Point]]) -> dict[str, Any] | None:
    """A LineString, a MultiLineString for several lines, or None for no line.

    A line is cut where it crosses the antimeridian (3.1.9).
    """
    parts = [part for line in lines for part in _cut(line)]
    if not parts:
        return None
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}


def _cut(line: Sequence[Point]) -> list[Coordinates]:
    if len(line) < 2:
        return []
    parts: list[Coordinates] = [[[line[0][1], line[0][0]]]]
    for (latitude, longitude), (latitude2, longitude2) in pairwise(line):
        if abs(longitude2 - longitude) > 180:
            edge = 180.0 if longitude > 0 else -180.0
            beyond = longitude2 + 2 * edge
            share = (edge - longitude) / (beyond - longitude) if beyond != longitude else 0.0
            crossing = latitude + (latitude2 - latitude) * share
            parts[-1].append([edge, crossing])
            parts.append([[-edge, crossing]])
        parts[-1].append([longitude2, latitude2])
    return parts
