"""GeoJSON of a fence into its shape; what is wrong with it, and where. Pure.

Every fault names the place in the body (`geometry.coordinates[0][3]`). What shapely has to be
asked for, rings that cross themselves, is in `common.geo.areas`; this needs no library.
"""

from collections.abc import Sequence
from typing import Any, TypeGuard

from common.errors import Fault
from common.fences.limits import AREA_KM2_MAX, LENGTH_KM_MAX, VERTICES_MAX
from common.geo.shape import LngLat, Ring, Rings, Shape, unwound, unwound_ring

# Faults of one geometry that are named: one wrong habit makes all its points wrong.
FAULTS_MAX = 10
KINDS = {"Polygon": 2, "MultiPolygon": 3, "Point": 0, "LineString": 1}
_TYPES = "must be Polygon, MultiPolygon, Point (with radius_m) or LineString (with width_m)"
_WHERE = "geometry.coordinates"


class GeometryReader:
    """Reads one geometry and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, field: str, detail: str) -> None:
        """Note a fault, as long as there is room."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(field, detail))

    def read(self, geometry: object, radius_m: float | None, width_m: float | None) -> Shape | None:
        """The shape; None where there are faults."""
        if not isinstance(geometry, dict):
            self.fault("geometry", "must be a GeoJSON geometry")
            return None
        kind = geometry.get("type")
        if not isinstance(kind, str) or kind not in KINDS:
            self.fault("geometry.type", _TYPES)
            return None
        self._reach(kind, radius_m, width_m)
        coordinates = geometry.get("coordinates")
        count = _count(coordinates, KINDS[kind])
        if count > VERTICES_MAX:
            self.fault(_WHERE, f"has {count:,} points, more than {VERTICES_MAX:,}")
            return None
        shape = self._shape(kind, coordinates, radius_m or (width_m or 0.0) / 2)
        if self.faults:
            return None
        self._size(shape)
        return None if self.faults else shape

    def _reach(self, kind: str, radius_m: float | None, width_m: float | None) -> None:
        for name, value, owner in (
            ("radius_m", radius_m, "Point"),
            ("width_m", width_m, "LineString"),
        ):
            if kind == owner and value is None:
                self.fault(name, f"is required with a {owner}")
            elif kind != owner and value is not None:
                self.fault(name, f"goes with a {owner}, not with a {kind}")

    def _shape(self, kind: str, coordinates: object, reach_m: float) -> Shape:
        if kind == "Point":
            return Shape(line=self._points([coordinates], _WHERE, bare=True), reach_m=reach_m)
        if kind == "LineString":
            return Shape(line=self._line(coordinates), reach_m=reach_m)
        if kind == "Polygon":
            return Shape(areas=(self._rings(coordinates, _WHERE),))
        areas = []
        for n, part in enumerate(self._list(coordinates, _WHERE, 1, "polygons")):
            areas.append(self._rings(part, f"{_WHERE}[{n}]"))
        return Shape(areas=areas)

    def _line(self, coordinates: object) -> Ring:
        line = self._points(self._list(coordinates, _WHERE, 2, "positions"), _WHERE)
        if not self.faults and len(set(line)) < 2:
            self.fault(_WHERE, "has two different positions at least; these are all the same")
        return line if self.faults else unwound(line)

    def _rings(self, coordinates: object, where: str) -> Rings:
        rings = self._list(coordinates, where, 1, "rings of positions")
        read = [self._ring(ring, f"{where}[{n}]") for n, ring in enumerate(rings)]
        return read if self.faults else _side_by_side(read)

    def _ring(self, coordinates: object, where: str) -> Ring:
        points = self._list(coordinates, where, 4, "positions, the last as the first")
        ring = self._points(points, where)
        if len(ring) < 4 or len(ring) < len(points):
            return ring
        if ring[0] != ring[-1]:
            first, last = _words(ring[0]), _words(ring[-1])
            self.fault(where, f"is not closed: it begins at {first} and ends at {last}")
        elif len(set(ring)) < 3:
            self.fault(where, "encloses nothing: it has fewer than three different positions")
        return ring if self.faults else unwound_ring(ring)

    def _list(self, value: object, where: str, least: int, what: str) -> Sequence[object]:
        if not isinstance(value, list):
            self.fault(where, f"must be a list of {what}")
            return ()
        if len(value) < least:
            self.fault(where, f"must have {least} or more {what}; it has {len(value)}")
            return ()
        return value

    def _points(self, values: Sequence[object], where: str, *, bare: bool = False) -> Ring:
        found: list[LngLat] = []
        for n, value in enumerate(values):
            match value:
                # An altitude may follow, and is not looked at.
                case [lng, lat, *rest] if (
                    _is_number(lng)
                    and _is_number(lat)
                    and -180 <= lng <= 180
                    and -90 <= lat <= 90
                    and len(rest) < 2
                    and all(map(_is_number, rest))
                ):
                    found.append((float(lng), float(lat)))
                case _:
                    self.fault(where if bare else f"{where}[{n}]", _position_fault(value))
                    if len(self.faults) >= FAULTS_MAX:
                        break
        return tuple(found)

    def _size(self, shape: Shape) -> None:
        if shape.line:
            if shape.length_km > LENGTH_KM_MAX:
                detail = f"is {shape.length_km:,.0f} km long, more than {LENGTH_KM_MAX:,.0f}"
                self.fault(_WHERE, detail)
            return
        area_km2 = shape.area_km2
        if area_km2 > AREA_KM2_MAX:
            self.fault(_WHERE, f"covers {area_km2:,.0f} km², more than {AREA_KM2_MAX:,.0f}")


def _count(value: Any, depth: int) -> int:
    """How many positions there are, as far as lists go."""
    if not isinstance(value, list):
        return 0
    if depth <= 1:
        return len(value)
    return sum(_count(inner, depth - 1) for inner in value)


def _side_by_side(rings: Sequence[Ring]) -> Rings:
    """Holes unwound to the side of 180° on which their outer ring has them."""
    outer, *holes = rings
    west, east = min(lng for lng, _ in outer), max(lng for lng, _ in outer)
    if west >= -180 and east <= 180:
        return rings
    moved = [outer]
    for hole in holes:
        middle = (min(lng for lng, _ in hole) + max(lng for lng, _ in hole)) / 2
        turn = 360.0 * ((middle < west) - (middle > east))
        moved.append([(lng + turn, lat) for lng, lat in hole])
    return moved


def _position_fault(value: object) -> str:
    if not isinstance(value, list) or not 2 <= len(value) <= 3:
        return "must be a position, [longitude, latitude]"
    if not all(map(_is_number, value)):
        return "must be numbers of degrees, [longitude, latitude]"
    lng, lat = value[:2]
    if abs(lat) > 90 and abs(lng) <= 90 and abs(lat) <= 180:
        return (
            f"the latitude {lat:g} is beyond 90: GeoJSON has the longitude first; "
            "they seem to be the wrong way round"
        )
    if abs(lat) > 90:
        return f"the latitude {lat:g} must be from -90 to 90"
    return (
        f"the longitude {lng:g} must be from -180 to 180; what crosses 180° goes on "
        "at the other side"
    )


def _is_number(value: object) -> TypeGuard[float]:
    """What is beyond the bound is no coordinate, and may be infinite; True is an int to Python."""
    return isinstance(value, float | int) and not isinstance(value, bool) and -1e9 < value < 1e9


def _words(point: LngLat) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"
