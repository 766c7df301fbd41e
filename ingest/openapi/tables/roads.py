"""Paths of travel times and ways. Data only."""

from typing import Annotated, Any

from msgspec import Meta

from common.access.policy import Action
from common.contract import Vehicle
from ingest.http.queries.query import ROUTE_POINTS_MAX
from ingest.openapi.dated import Dated
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.roads import MatchedFeature, TravelMatrix, WayFeature
from ingest.openapi.tables.drivers import AT, DRIVER, LATER, Time
from ingest.resources.roads.asked import POINTS_MAX, SIDE_MAX, AskedMatrix, AskedRoute

GEOJSON = "application/geo+json"
PLACE = {"latitude": 40.7306, "longitude": -73.9866}
VEHICLE = Param("vehicle", Vehicle, "Default: car.", "car")
HOW = (
    "`method` says by what: `roads` (a road graph, from `fleetline roads add`), `history` (the "
    "pace of the fleet's own trips) or `straight` (the straight line). A graph that does not know "
    "the places, or an engine that does not answer, leaves it to the others."
)
NAMED = "A place is a latitude and a longitude, or a `driver_id` for where that driver is now"
LINE = {"type": "LineString", "coordinates": [[-74.006, 40.7128], [-73.9866, 40.7306]]}
LEG = {"duration_s": 412.5, "distance_m": 3120.4}


def _feature(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": LINE, "properties": properties}


MATRIX = Operation(
    "post", "/api/v1/matrix", "askMatrix", "Roads", "Travel times between many places",
    f"From each source to each target, {SIDE_MAX} of each at most. {NAMED} (then for roles that "
    f"may read it). {HOW}",
    answers={200: answer("The matrix.", TravelMatrix, {
        "durations_s": [[412.5], [None]], "distances_m": [[3120.4], [None]],
        "method": "roads", "without_position": ["driver-8"],
    })},
    errors=(400, 408, 413, 415, 422, 503),
    body={JSON: Media(AskedMatrix, {
        "sources": [{"driver_id": "driver-7"}, {"driver_id": "driver-8"}], "targets": [PLACE],
        "vehicle": "car",
    })},
    action=Action.ASK_ROADS,
)  # fmt: skip
ROUTE = Operation(
    "post", "/api/v1/route", "askRoute", "Roads", "The quickest way",
    f"Through all points, in their order; {POINTS_MAX} at most. {NAMED}. 404 where no road leads, "
    f"and for a driver without a current position. {HOW}",
    answers={200: Answer("The way.", {GEOJSON: Media(WayFeature, _feature(
        {**LEG, "method": "roads", "legs": [LEG]},
    ))}, {})},
    errors=(400, 404, 408, 413, 415, 422, 503),
    body={JSON: Media(AskedRoute, {"points": [{"driver_id": "driver-7"}, PLACE]})},
    action=Action.ASK_ROADS,
)  # fmt: skip
MATCHED = Operation(
    "get", "/api/v1/drivers/{driver_id}/matched-route", "readMatchedRoute", "Roads",
    "Route on the roads",
    "Fixes with `start_time` ≤ `recorded_at` < `end_time`, drawn along the roads that they follow. "
    "Gaps of more than three minutes, and stretches off the roads, divide the line. Without a road "
    "graph it joins the fixes (`straight`).",
    answers={200: Answer(
        "A page of fixes, matched; a Link header with `rel=next` leads to the next.",
        {GEOJSON: Media(MatchedFeature, _feature({
            "driver_id": "driver-7", "start_time": AT, "end_time": LATER, "count": 720,
            "distance_m": 3120.4, "method": "roads", "next_cursor": None,
            "pieces": [{
                "start_time": AT, "end_time": LATER, "distance_m": 3120.4, "confidence": 0.98,
            }],
        }))},
        {},
    )},
    errors=(422, 503),
    params=(
        DRIVER,
        Param("start_time", Time, "Default: 24 hours before `end_time`.", AT),
        Param("end_time", Time, "Default: now.", LATER),
        VEHICLE,
        Param("limit", Annotated[int, Meta(ge=2, le=ROUTE_POINTS_MAX)],
              f"Fixes of a page; default {ROUTE_POINTS_MAX}.", ROUTE_POINTS_MAX),
        Param("cursor", str, "The `next_cursor` of the page before.", Dated("{epoch_s}000000")),
    ),
    action=Action.READ_DRIVER,
)  # fmt: skip

OPERATIONS = (MATRIX, ROUTE, MATCHED)
