"""Cuts what is drawn into the tiles of each zoom. Pure: geometry in, pieces of tiles out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from deploy.streets.kinds import ZOOM_MAX, ZOOM_MIN, Drawing
from deploy.streets.mercator import EXTENT, MARGIN, Geometries, project, to_units

# A page shows a tile this wide.
SHOWN_PX: Final = 512
# Ground and buildings come once they are about this large on the page, in square pixels.
AREA_MIN_PX: Final = 24.0
# The name of an area comes once there is room for it.
NAMED_AREA_MIN_PX: Final = 5_000.0
# Shapes are simplified to this, in units of the tile: half a pixel, and at the last zoom, which
# pages enlarge, as fine as a tile can hold.
TOLERANCE: Final = 4.0
TOLERANCE_LAST: Final = 0.7
# One thing in more tiles of one zoom than these is a mistake (a node at 0°, 0°), and is left out
# there: else one line of a file could make 200 million tiles.
TILES_PER_THING_MAX: Final = 20_000

# Layers of words: they stand on points.
WORDS: Final = frozenset({"name", "number"})
_SHARE: Final = MARGIN / EXTENT


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A part of a tile: what is drawn there, in units of the tile, as WKB."""

    zoom: int
    column: int
    row: int
    drawing: Drawing
    wkb: bytes


@dataclass(slots=True)
class Cutter:
    """Cuts batches; counts what it left out, by reason."""

    left_out: Counter[str] = field(default_factory=Counter)

    def pieces(self, geometries: Geometries, drawings: list[Drawing]) -> Iterator[Piece]:
        """The pieces of a batch. `geometries` are in degrees, one for each of `drawings`."""
        # What is empty, and what has a place that is no number, has no bounds.
        good = np.isfinite(shapely.bounds(geometries)).all(axis=1)
        self.left_out["without a shape"] += int((~good).sum())
        kept = [drawings[number] for number in np.flatnonzero(good)]
        if not kept:
            return
        shapes = _repaired(project(geometries[good]))
        is_word = np.array([drawing.layer in WORDS for drawing in kept])
        first = _first_zooms(shapes, kept, is_word)
        # Words of an area stand on a point inside it.
        shapes[is_word] = shapely.point_on_surface(shapes[is_word])
        for zoom in range(ZOOM_MIN, ZOOM_MAX + 1):
            chosen = np.flatnonzero(first <= zoom)
            if chosen.size:
                yield from self._of_zoom(shapes[chosen], chosen, kept, zoom)

    def _of_zoom(
        self, shapes: Geometries, numbers: NDArray[Any], drawings: list[Drawing], zoom: int
    ) -> Iterator[Piece]:
        scaled = shapely.transform(shapes, lambda places: places * 2**zoom)
        tolerance = (TOLERANCE_LAST if zoom == ZOOM_MAX else TOLERANCE) / EXTENT
        scaled = _repaired(shapely.simplify(scaled, tolerance, preserve_topology=False))
        kept = ~shapely.is_empty(scaled)
        scaled, numbers = scaled[kept], numbers[kept]
        parts, owners, columns, rows = self._parts(scaled)
        units = to_units(parts, columns, rows)
        for wkb, owner, column, row in zip(
            shapely.to_wkb(units), owners, columns % 2**zoom, rows, strict=True
        ):
            drawing = drawings[numbers[owner]]
            if 0 <= row < 2**zoom:
                yield Piece(zoom, int(column), int(row), drawing, wkb)

    def _parts(
        self, shapes: Geometries
    ) -> tuple[Geometries, NDArray[Any], NDArray[Any], NDArray[Any]]:
        """What lies in each tile, the shape it is of, and the tile's column and row."""
        bounds = shapely.bounds(shapes)
        low = np.floor(bounds[:, :2] - _SHARE).astype(np.int64)
        high = np.floor(bounds[:, 2:] + _SHARE).astype(np.int64)
        single = (low == high).all(axis=1)
        alone = np.flatnonzero(single)
        parts, owners = list(shapes[alone]), list(alone)
        columns, rows = list(low[alone, 0]), list(low[alone, 1])
        for number in np.flatnonzero(~single):
            for part, column, row in self._cut(shapes[number], low[number], high[number]):
                parts.append(part)
                owners.append(number)
                columns.append(column)
                rows.append(row)
        held = np.empty(len(parts), dtype=object)
        held[:] = parts
        integers = (np.array(values, dtype=np.int64) for values in (owners, columns, rows))
        return (held, *integers)  # type: ignore[return-value]

    def _cut(self, shape: Any, low: NDArray[Any], high: NDArray[Any]) -> list[tuple[Any, int, int]]:
        """The parts of one shape: first by columns, then each of these by rows."""
        parts: list[tuple[Any, int, int]] = []
        if high[0] - low[0] >= TILES_PER_THING_MAX:
            self.left_out["in too many tiles"] += 1
            return []
        for column in range(low[0], high[0] + 1):
            strip = shapely.clip_by_rect(
                shape, column - _SHARE, low[1] - 1, column + 1 + _SHARE, high[1] + 2
            )
            if strip.is_empty:
                continue
            _, south, _, north = strip.bounds
            first, last = int(np.floor(south - _SHARE)), int(np.floor(north + _SHARE))
            if len(parts) + last - first >= TILES_PER_THING_MAX:
                self.left_out["in too many tiles"] += 1
                return []
            for row in range(first, last + 1):
                part = shapely.clip_by_rect(
                    strip, column - _SHARE, row - _SHARE, column + 1 + _SHARE, row + 1 + _SHARE
                )
                if not part.is_empty:
                    parts.append((part, column, row))
        return parts


def _repaired(shapes: Geometries) -> Geometries:
    """Rings that cross themselves made into areas that do not, as cutting needs."""
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def _first_zooms(
    shapes: Geometries, drawings: list[Drawing], is_word: NDArray[Any]
) -> NDArray[Any]:
    """The zoom from which each is drawn: that of its kind, or when its area is large enough."""
    kinds = np.array([drawing.zoom_min for drawing in drawings])
    areas = shapely.area(shapes)
    wanted = np.where(is_word, NAMED_AREA_MIN_PX, AREA_MIN_PX)
    with np.errstate(divide="ignore"):
        by_area = np.ceil(np.log2(np.sqrt(wanted / areas) / SHOWN_PX))
    # Lines and points have no area; small things are there at the last zoom.
    by_area = np.where(areas > 0, np.minimum(by_area, ZOOM_MAX), ZOOM_MIN)
    zooms: NDArray[Any] = np.maximum(kinds, by_area)
    return zooms
