"""Areas of shapes as shapely's polygons (extra `places`). Pure; longitude is x, latitude is y."""

from collections.abc import Sequence
from typing import Any

import shapely
from shapely.affinity import translate

from common.geo.shape import Rings, Shape

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
