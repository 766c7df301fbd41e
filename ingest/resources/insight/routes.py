"""Which path leads to which answer about trips, stops and statistics."""

from typing import Any

import falcon.asgi

from ingest.http.access import Access
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.insight.heat import FleetHeat
from ingest.resources.insight.items import StopList, TripList
from ingest.resources.insight.summary import DriverSummary, FleetSummary


def add_insight_routes(
    app: falcon.asgi.App[Any, Any], history: Histories, access: Access, *, gap_s: float
) -> None:
    """Add them all. They take turns of their own: a heat map delays no route."""
    reads = ReadLimiter(2, 1)
    driver, fleet = "/api/v1/drivers/{driver_id}", "/api/v1/fleet"
    app.add_route(f"{driver}/trips", TripList(history, access, reads, gap_s=gap_s))
    app.add_route(f"{driver}/stops", StopList(history, access, reads, gap_s=gap_s))
    app.add_route(f"{driver}/summary", DriverSummary(history, access, reads))
    app.add_route(f"{fleet}/summary", FleetSummary(history, access, reads))
    app.add_route(f"{fleet}/heat", FleetHeat(history, access, reads))
