"""Which fences hold a point: two trees, asked once for a whole page. Pure; needs `places`.

Polygons stand in the one tree, boxes of circles and of the pieces of corridors in the other. The
trees name candidates; the exact test is shapely's for areas and a distance for the rest. Areas
and circles include their edge.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely

from common.fences.fence import Fence
from common.geo.areas import polygons_of
from common.geo.shape import LngLat
from common.geo.sphere import distance_m
from common.geo.strips import Strips, boxes_of, edge_of, pieces_of, vectors

# Fences whose edges are kept for distances: one that spans a continent has megabytes of them.
EDGES_MAX = 1000
Inside = Sequence[Fence]
_NOWHERE: Inside = ()


class FenceIndex:
    """All fences as of one version. It never changes: a change makes another."""

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self._fences = {fence.geofence_id: fence for fence in fences}
        active = [fence for fence in self._fences.values() if fence.active]
        self._areas = _AreaTree(active)
        self._strips = _StripTree(active)
        self._edges: dict[str, Strips] = {}

    def __len__(self) -> int:
        return len(self._fences)

    def get(self, geofence_id: str) -> Fence | None:
        """The fence of that id, also one that is switched off."""
        return self._fences.get(geofence_id)

    def inside(self, latitudes: Sequence[float], longitudes: Sequence[float]) -> list[Inside]:
        """For each point (degrees) the fences whose shape holds it, in no order.

        Only the shape is asked; whom a fence is for, and when, `membership` asks.
        """
        found: list[Inside] = [_NOWHERE] * len(latitudes)
        lats, lngs = np.asarray(latitudes, dtype=float), np.asarray(longitudes, dtype=float)
        for tree in (self._areas, self._strips):
            for point, fence in tree.pairs(lats, lngs):
                held = found[point]
                if not held:
                    found[point] = (fence,)
                elif fence not in held:
                    # Parts of a multipolygon and pieces of a corridor name their fence again.
                    found[point] = (*held, fence)
        return found

    def distance_m(self, fence: Fence, latitude: float, longitude: float) -> float:
        """Metres from the fence to a point outside it."""
        shape = fence.shape
        if len(shape.line) == 1:
            # A circle, as most are: arrays would cost ten times as much.
            ((lng, lat),) = shape.line
            return distance_m(lat, lng, latitude, longitude) - shape.reach_m
        edge = self._edges.get(fence.geofence_id)
        if edge is None:
            if len(self._edges) >= EDGES_MAX:
                self._edges.clear()
            edge = self._edges[fence.geofence_id] = edge_of(shape)
        return edge.distance_m(vectors(longitude, latitude)) - shape.reach_m


class _AreaTree:
    """Polygons, prepared, under a tree of their boxes."""

    def __init__(self, fences: Sequence[Fence]) -> None:
        pairs = [(p, fence) for fence in fences for p in polygons_of(fence.shape)]
        self._owners = [fence for _, fence in pairs]
        self._polygons = np.array([polygon for polygon, _ in pairs], dtype=object)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)

    def pairs(self, lats: Any, lngs: Any) -> Iterable[tuple[int, Fence]]:
        """Pairs of a point's place in the page and a fence that holds it."""
        if not self._owners:
            return ()
        points, polygons = self._tree.query(shapely.points(lngs, lats))
        held = shapely.intersects_xy(self._polygons[polygons], lngs[points], lats[points])
        owners = self._owners
        return [
            (point, owners[polygon])
            for point, polygon in zip(points[held].tolist(), polygons[held].tolist(), strict=True)
        ]


class _StripTree:
    """Circles and corridors: boxes of their pieces under a tree, then the distance."""

    def __init__(self, fences: Sequence[Fence]) -> None:
        pieces: list[tuple[LngLat, LngLat]] = []
        self._owners: list[Fence] = []
        boxes, numbers = [], []
        for fence in fences:
            if not fence.shape.line:
                continue
            for piece in pieces_of(fence.shape.line):
                for box in boxes_of(*piece, fence.shape.reach_m):
                    boxes.append(box)
                    numbers.append(len(pieces))
                pieces.append(piece)
                self._owners.append(fence)
        self._strips = Strips(pieces, [fence.shape.reach_m for fence in self._owners])
        self._numbers = np.array(numbers, dtype=int)
        self._tree = shapely.STRtree(shapely.box(*np.array(boxes).reshape(-1, 4).T))

    def pairs(self, lats: Any, lngs: Any) -> Iterable[tuple[int, Fence]]:
        """Pairs of a point's place in the page and a fence that holds it."""
        if not self._owners:
            return ()
        points, boxes = self._tree.query(shapely.points(lngs, lats))
        pieces = self._numbers[boxes]
        held = self._strips.hold(vectors(lngs, lats)[points], pieces)
        owners = self._owners
        return [
            (point, owners[piece])
            for point, piece in zip(points[held].tolist(), pieces[held].tolist(), strict=True)
        ]
