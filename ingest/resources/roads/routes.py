"""Which path leads to which answer about the roads."""

from typing import Any

import falcon.asgi

from common.roads.travel import Travel
from ingest.http.access import Access
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.live_positions import LivePositions
from ingest.resources.roads.matched import MatchedRoute
from ingest.resources.roads.matrix import MatrixDoor
from ingest.resources.roads.places import PlaceFinder
from ingest.resources.roads.way import WayDoor


def add_road_routes(
    app: falcon.asgi.App[Any, Any],
    travel: Travel,
    live: LivePositions,
    history: Histories,
    access: Access,
) -> None:
    """Add them all. Routes that are matched take turns of their own: they delay no matrix."""
    finder, reads = PlaceFinder(live, access), ReadLimiter(8, 4)
    app.add_route("/api/v1/matrix", MatrixDoor(travel, finder, access, reads))
    app.add_route("/api/v1/route", WayDoor(travel, finder, access, reads))
    matched = MatchedRoute(travel, history, access, ReadLimiter(2, 1))
    app.add_route("/api/v1/drivers/{driver_id}/matched-route", matched)
