"""The sea of an extract, which has no area in OpenStreetMap: only coastlines, land on their left.

The coastlines and the frame round them divide the map into faces. A face that lies to the right of
most of the coast along it is sea. An extract cuts coastlines off; loose ends go on to the nearest
side of the frame. Pure; everything is in degrees.
"""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

# The sea is drawn this far from the coast, about 15 km: else an island would bring an ocean of
# tiles with nothing in them.
BAND: Final = 0.15
# The outline of the band need not follow every rock.
BAND_TOLERANCE: Final = 0.02
# Beside a coastline, to ask which face is there: 10 cm, less than the coast is known by.
BESIDE: Final = 1e-6
# Pieces of the sea, so that none is in too many tiles.
PIECE: Final = 0.5


Extent = tuple[float, float, float, float]


def sea(coastlines: list[Any], extent: Extent) -> list[Any]:
    """Areas of the sea along these lines; none where the lines enclose nothing.

    `extent`: west, south, east and north of what the extract has. Beyond, nothing is known.
    """
    if not coastlines:
        return []
    lines = shapely.get_parts(
        shapely.line_merge(shapely.multilinestrings(coastlines), directed=True)
    )
    frame = shapely.box(*shapely.buffer(shapely.box(*shapely.total_bounds(lines)), BAND).bounds)
    parts = [*lines, *_onwards(lines, frame), frame.exterior]
    faces = shapely.get_parts(shapely.polygonize([shapely.unary_union(parts)]))
    wet = faces[_votes(faces, lines) > 0]
    if not wet.size:
        return []
    band = shapely.buffer(shapely.simplify(shapely.union_all(lines), BAND_TOLERANCE), BAND)
    area = shapely.clip_by_rect(shapely.intersection(shapely.union_all(wet), band), *extent)
    return _pieces(area) if not area.is_empty else []


def _onwards(lines: NDArray[Any], frame: Any) -> list[Any]:
    """From each loose end straight to the frame."""
    loose = lines[~shapely.is_closed(lines)]
    ends = np.concatenate((shapely.get_point(loose, 0), shapely.get_point(loose, -1)))
    return list(shapely.shortest_line(ends, frame.exterior))


def _votes(faces: NDArray[Any], lines: NDArray[Any]) -> NDArray[Any]:
    """For each face the length of coast that it lies right of, less that which it lies left of."""
    places, owners = shapely.get_coordinates(lines, return_index=True)
    steps = np.diff(places, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    real = (owners[1:] == owners[:-1]) & (lengths > 0)
    steps, lengths, middles = steps[real], lengths[real], (places[1:] + places[:-1])[real] / 2
    right = np.column_stack((steps[:, 1], -steps[:, 0])) / lengths[:, None] * BESIDE
    tree = shapely.STRtree(faces)
    votes = np.zeros(len(faces))
    for side, sign in ((middles + right, 1), (middles - right, -1)):
        asked, found = tree.query(shapely.points(side), predicate="within")
        np.add.at(votes, found, sign * lengths[asked])
    return votes


def _pieces(area: Any) -> list[Any]:
    """An area cut into squares."""
    west, south, east, north = area.bounds
    pieces = []
    for x in np.arange(west, east, PIECE):
        strip = shapely.clip_by_rect(area, x, south, x + PIECE, north)
        pieces += [
            shapely.clip_by_rect(strip, x, y, x + PIECE, y + PIECE)
            for y in np.arange(south, north, PIECE)
        ]
    return [piece for piece in pieces if not piece.is_empty]
