"""`/api/v1/route`: the quickest way through some places."""

import falcon.asgi

from common.access.policy import Action
from common.problem import NO_POSITION, NO_WAY
from common.roads.travel import Travel
from common.roads.way import Way
from ingest.http.access import Access
from ingest.http.body import GEOJSON
from ingest.http.problem import HTTPProblem
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.roads.asked import BODY_BYTES_MAX, AskedRoute, decode_asked
from ingest.resources.roads.line import line_geometry
from ingest.resources.roads.matrix import DIGITS, without_position
from ingest.resources.roads.places import PlaceFinder
from ingest.resources.route.page import dump


class WayDoor:
    """Through all points, in the order in which they are given."""

    def __init__(
        self, travel: Travel, finder: PlaceFinder, access: Access, reads: ReadLimiter
    ) -> None:
        self._travel = travel
        self._finder = finder
        self._access = access
        self._reads = reads

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """A GeoJSON Feature; 404 where no road leads, and for a driver without a position."""
        principal = self._access.admit(req, Action.ASK_ROADS)
        asked = decode_asked(await self._access.body(principal, req, BODY_BYTES_MAX), AskedRoute)
        self._finder.require(principal, asked.points)
        async with self._reads.turn(principal.subject):
            found = await self._finder.points(asked.points)
            points = [point for point in found if point is not None]
            if len(points) < len(found):
                names = ", ".join(without_position(asked.points, found))
                raise HTTPProblem(NO_POSITION, f"without a current position: {names}")
            way = await self._travel.route(points, asked.vehicle)
        if way is None:
            raise HTTPProblem(NO_WAY, "no road leads there")
        resp.content_type = GEOJSON
        resp.data = dump(feature_of(way))


def feature_of(way: Way) -> dict[str, object]:
    """A way as a GeoJSON Feature."""
    return {
        "type": "Feature",
        "geometry": line_geometry([way.points]),
        "properties": {
            "duration_s": round(way.duration_s, DIGITS),
            "distance_m": round(way.distance_m, DIGITS),
            "method": way.method,
            "legs": [
                {
                    "duration_s": round(leg.duration_s, DIGITS),
                    "distance_m": round(leg.distance_m, DIGITS),
                }
                for leg in way.legs
            ],
        },
    }
