"""One tile: everything in it as bytes of the Mapbox Vector Tile format (2.1). Pure.

All that is drawn the same way becomes one feature: the buildings of a tile are one shape, and so
are the pieces of a street of one name, joined so that the name has room.
"""

import gzip
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import mapbox_vector_tile
import shapely

from deploy.streets.kinds import Drawing
from deploy.streets.mercator import EXTENT

# A tile with more has the lowest ranks of its most crowded layers left out: ten times a city's.
PIECES_MAX: Final = 60_000
# 6 is gzip's own choice: 9 takes three times as long for 1 % less.
GZIP_LEVEL: Final = 6
# In the order in which pages draw them.
LAYERS: Final = ("land", "water", "line", "building", "road", "name", "number")

Facts = tuple[tuple[str, str | int], ...]
# What a line is joined with needs the same kind, words and level.
_JOINED: Final = frozenset({"road", "line"})


def facts_of(drawing: Drawing, zoom: int) -> Facts:
    """What pages are told about it at a zoom."""
    facts: list[tuple[str, str | int]] = [("kind", drawing.kind)]
    if drawing.name and zoom >= drawing.named_from:
        facts.append(("name", drawing.name))
    if drawing.ref and drawing.kind in {"motorway", "trunk", "primary"}:
        facts.append(("ref", drawing.ref))
    if drawing.level and zoom >= 13:
        facts.append(("level", drawing.level))
    if drawing.rank:
        facts.append(("rank", drawing.rank))
    return tuple(facts)


def encode(zoom: int, pieces: Iterable[tuple[Drawing, bytes]]) -> tuple[bytes, int]:
    """A tile, gzipped, empty where it would show nothing; and how many pieces were left out."""
    ranked = sorted(pieces, key=lambda piece: (piece[0].rank, piece[0].zoom_min))
    groups: dict[str, dict[Facts, list[bytes]]] = {layer: defaultdict(list) for layer in LAYERS}
    for drawing, wkb in ranked[:PIECES_MAX]:
        groups[drawing.layer][facts_of(drawing, zoom)].append(wkb)
    layers = []
    for layer, by_facts in groups.items():
        features = [
            {"geometry": shape, "properties": dict(facts)}
            for facts, wkbs in by_facts.items()
            for shape in _shapes(wkbs, joined=layer in _JOINED)
        ]
        if features:
            layers.append({"name": layer, "features": features})
    if not layers:
        return b"", 0
    options = {"extents": EXTENT, "y_coord_down": True, "check_winding_order": False}
    body = mapbox_vector_tile.encode(layers, default_options=options)
    return gzip.compress(body, GZIP_LEVEL, mtime=0), max(0, len(ranked) - PIECES_MAX)


def _shapes(wkbs: list[bytes], *, joined: bool) -> list[Any]:
    """One shape for each dimension: all points, all lines, all polygons of these pieces."""
    parts = shapely.get_parts(shapely.from_wkb(wkbs))
    # Cutting along an edge leaves collections, which may be nested once.
    parts = shapely.get_parts(parts)
    kinds = shapely.get_type_id(parts)
    shapes = []
    for kind, collect in (
        (shapely.GeometryType.POINT, shapely.multipoints),
        (shapely.GeometryType.LINESTRING, shapely.multilinestrings),
        (shapely.GeometryType.POLYGON, shapely.multipolygons),
    ):
        found = parts[kinds == kind]
        if kind == shapely.GeometryType.POLYGON:
            # Rounded to units, a narrow strip may have no area left. Rings turn as the format
            # wants them: the outer ones one way, holes the other.
            found = shapely.orient_polygons(found[shapely.area(found) > 0])
        elif kind == shapely.GeometryType.LINESTRING:
            found = found[shapely.length(found) > 0]
        if found.size:
            shape = collect(found)
            is_line = kind == shapely.GeometryType.LINESTRING
            shapes.append(shapely.line_merge(shape) if joined and is_line else shape)
    return shapes
