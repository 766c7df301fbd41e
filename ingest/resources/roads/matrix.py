"""`/api/v1/matrix`: travel times and distances between many places."""

from collections.abc import Sequence

import falcon.asgi

from common.access.policy import Action
from common.roads.travel import Travel
from common.roads.way import Point, Rows
from ingest.http.access import Access
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.roads.asked import BODY_BYTES_MAX, AskedMatrix, AskedPlace, decode_asked
from ingest.resources.roads.places import PlaceFinder
from ingest.resources.route.page import dump

# Decimetres and tenths of seconds: the roads are not known better.
DIGITS = 1


class MatrixDoor:
    """From each source to each target."""

    def __init__(
        self, travel: Travel, finder: PlaceFinder, access: Access, reads: ReadLimiter
    ) -> None:
        self._travel = travel
        self._finder = finder
        self._access = access
        self._reads = reads

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The matrix; null where there is no way, and for drivers without a position."""
        principal = self._access.admit(req, Action.ASK_ROADS)
        asked = decode_asked(await self._access.body(principal, req, BODY_BYTES_MAX), AskedMatrix)
        self._finder.require(principal, (*asked.sources, *asked.targets))
        async with self._reads.turn(principal.subject):
            points = await self._finder.points((*asked.sources, *asked.targets))
            first = len(asked.sources)
            sources, targets = points[:first], points[first:]
            known = await self._travel.matrix(_known(sources), _known(targets), asked.vehicle)
        resp.data = dump(
            {
                "durations_s": spread(known.durations_s, sources, targets),
                "distances_m": spread(known.distances_m, sources, targets),
                "method": known.method,
                "without_position": without_position((*asked.sources, *asked.targets), points),
            }
        )


def spread(rows: Rows, sources: Sequence[Point | None], targets: Sequence[Point | None]) -> Rows:
    """The rows of the places that are known, with null for the others."""
    nothing: list[float | None] = [None] * len(targets)
    left = iter(rows)
    return [nothing if source is None else _filled(next(left), targets) for source in sources]


def _filled(row: Sequence[float | None], targets: Sequence[Point | None]) -> list[float | None]:
    cells = iter(row)
    return [
        None if target is None or (cell := next(cells)) is None else round(cell, DIGITS)
        for target in targets
    ]


def without_position(places: Sequence[AskedPlace], points: Sequence[Point | None]) -> list[str]:
    """The drivers among the places that are nowhere now, each once."""
    return sorted(
        {
            place.driver_id
            for place, point in zip(places, points, strict=True)
            if point is None and place.driver_id is not None
        }
    )


def _known(points: Sequence[Point | None]) -> list[Point]:
    return [point for point in points if point is not None]
