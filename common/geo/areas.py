"""Areas of shapes as shapely's polygons (extra `places`). Pure; longitude is x, latitude is y."""

from collections.abc import Sequence
from typing import Any

import shapely
from shapely.affinity import translate

from common.geo.shape import Rings, Shape
from common.geo.sphere import wrapped

Polygon = Any
_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def polygon_of(rings: Rings) -> Polygon:
    """One area, its longitudes still unwound. It may be invalid."""
    outer, *holes = rings
    return shapely.Polygon(outer, holes)


def polygons_of(shape: Shape) -> Sequence[Polygon]:
    """All areas, cut at 180° so that every point of the map is where its polygon is."""
    found: list[Polygon] = []
    for rings in shape.areas:
        polygon = polygon_of(rings)
        west, _, east, _ = polygon.bounds
        if west >= -180 and east <= 180:
            found.append(polygon)
            continue
        for turn in (-360.0, 0.0, 360.0):
            part = shapely.intersection(translate(polygon, turn), _WORLD)
            found += [p for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
    return found


def fault_of(rings: Rings) -> tuple[int | None, str] | None:
    """What makes an area invalid: the ring that is at fault, where it is one, and why; or None."""
    reason = shapely.is_valid_reason(polygon_of(rings))
    if reason == _VALID:
        return None
    for n, ring in enumerate(rings):
        of_ring = shapely.is_valid_reason(shapely.Polygon(ring))
        if of_ring != _VALID:
            return n, _said(of_ring)
    return None, _said(reason)


def _said(reason: str) -> str:
    """GEOS' reason, `Self-intersection[2.5 48.8]`, as a sentence without its subject."""
    words, _, place = reason.partition("[")
    said = _REASONS.get(words.strip().lower(), f"is no valid polygon ({words.strip().lower()})")
    try:
        lng, lat = map(float, place.rstrip("]").split())
    except ValueError:
        return said
    return f"{said} at longitude {wrapped(lng):.6f}, latitude {lat:.6f}"


_VALID = "Valid Geometry"
_REASONS = {
    "self-intersection": "crosses itself",
    "ring self-intersection": "touches itself",
    "hole lies outside shell": "has a hole outside its outer ring,",
    "holes are nested": "has a hole within a hole,",
    "nested holes": "has a hole within a hole,",
    "interior is disconnected": "is cut in two by its holes,",
    "duplicate rings": "has the same ring twice,",
    "too few points in geometry component": "encloses nothing",
}
