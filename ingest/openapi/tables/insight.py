"""Paths of trips, stops and statistics. Data only."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from common.access.policy import Action
from ingest.http.queries.insight import (
    COARSEST,
    DRIVERS,
    DRIVERS_MAX,
    FINEST,
    HEAT_SPAN_MAX,
    ITEMS,
    ITEMS_MAX,
)
from ingest.openapi.dated import Dated
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param
from ingest.openapi.shapes.insight import (
    DriverSummaryAnswer,
    Features,
    FleetSummaryAnswer,
    HeatAnswer,
    StopPage,
    TripPage,
)
from ingest.openapi.tables.drivers import AT, DRIVER, LATER, Time

PATH, FLEET = "/api/v1/drivers/{driver_id}", "/api/v1/fleet"
GEOJSON, CSV = "application/geo+json", "text/csv"
SPAN = (
    Param("start_time", Time, "Default: 24 hours before `end_time`.", AT),
    Param("end_time", Time, "Default: now.", LATER),
)
PAGED = (
    Param("limit", Annotated[int, Meta(ge=1, le=ITEMS_MAX)], f"Default {ITEMS}.", 100),
    Param("cursor", str, "The `next_cursor` of the page before.", Dated("{epoch_s}000000")),
)
FORMAT = Param("format", Literal["json", "geojson", "csv"], "Default: json.", "json")
TABLE = Param("format", Literal["json", "csv"], "Default: json.", "json")
BY = Param("by", Literal["hour", "day"], "Default: one row for the span.", "hour")
ZONE = Param("tz", str, "Time zone of hours and days; default UTC.", "Europe/Berlin")
PLACE = {"latitude": 40.7128, "longitude": -74.006}
TRIP = {
    "trip_id": Dated("driver-7-{epoch_s}000000"), "start_time": AT, "end_time": LATER,
    "start": PLACE, "end": PLACE, "distance_m": 24_310.2, "duration_s": 3600, "moving_s": 3120,
    "max_speed": 83.5, "fixes": 720, "open": False,
}  # fmt: skip
STOP = {
    "start_time": AT, "end_time": LATER, **PLACE, "duration_s": 3600, "fixes": 720,
    "ended_by": "move", "open": False,
}  # fmt: skip
SUMS = {
    "fixes": 720, "distance_m": 24_310.2, "moving_s": 3120, "stopped_s": 480, "gap_s": 0,
    "trips": 1, "stops": 0, "over_limit_s": 0, "max_speed": 83.5, "first": AT, "last": LATER,
}  # fmt: skip
BUCKET = {"start_time": AT, "end_time": LATER, **SUMS}
OF_DRIVER = {"driver_id": "driver-7", "start_time": AT, "end_time": LATER}
ASKED = {"start_time": AT, "end_time": LATER, "by": "hour", "tz": "UTC"}
PACE = {"start_time": AT, "distance_m": 24_310.2, "moving_s": 3120, "stopped_s": 480}
CELL = {"cell": "882a1072b5fffff", **PLACE, "value": 42}
ITEM_TEXT = (
    "What touches `start_time` ≤ time < `end_time`, from fixes in order of `recorded_at`, "
    "whatever order they arrived in. Follows within 30 s, and within a minute after late fixes."
)


def _bodies(kind: object, example: dict[str, Any], feature: dict[str, Any], rows: str) -> Answer:
    drawn = {"type": "FeatureCollection", "features": [feature]}
    return Answer(
        "A page; a Link header with `rel=next` leads to the next.",
        {JSON: Media(kind, example), GEOJSON: Media(Features, drawn), CSV: Media(None, rows)},
        {},
    )


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


LINE = {"type": "LineString", "coordinates": [[-74.006, 40.7128], [-74.0, 40.72]]}
POINT = {"type": "Point", "coordinates": [-74.006, 40.7128]}
TRIPS = Operation(
    "get", f"{PATH}/trips", "readTrips", "Statistics", "Trips of a driver",
    f"The movement between two stops or gaps. {ITEM_TEXT} GeoJSON draws lines, simplified to "
    "10 m, of 100 trips a page at most.",
    answers={200: _bodies(
        TripPage,
        {**OF_DRIVER, "count": 1, "trips": [TRIP], "next_cursor": None},
        _feature(LINE, TRIP), "driver_id,trip_id,start_time,end_time\r\n",
    )},
    errors=(422, 503),
    params=(DRIVER, *SPAN, *PAGED, FORMAT),
    action=Action.READ_DRIVER,
)  # fmt: skip
STOPS = Operation(
    "get", f"{PATH}/stops", "readStops", "Statistics", "Stops of a driver",
    "The driver stayed within `STOP_RADIUS_M` of its first fix for `STOP_MIN_S` or longer. "
    f"{ITEM_TEXT}",
    answers={200: _bodies(
        StopPage,
        {**OF_DRIVER, "count": 1, "stops": [STOP], "next_cursor": None},
        _feature(POINT, STOP), "driver_id,start_time,end_time\r\n",
    )},
    errors=(422, 503),
    params=(DRIVER, *SPAN, *PAGED, FORMAT),
    action=Action.READ_DRIVER,
)  # fmt: skip
SUMMARY = Operation(
    "get", f"{PATH}/summary", "readDriverSummary", "Statistics", "Sums of a driver",
    "Distance, times and counts of whole quarters of an hour, in all, by hour or by day of a "
    "time zone. Trips and stops count where they began.",
    answers={200: Answer("Hours or days in which something was, and all together.", {
        JSON: Media(DriverSummaryAnswer, {
            "driver_id": "driver-7", **ASKED, "buckets": [BUCKET], "total": SUMS,
        }),
        CSV: Media(None, "driver_id,start_time,end_time,fixes,distance_m\r\n"),
    }, {})},
    errors=(422, 503),
    params=(DRIVER, *SPAN, BY, ZONE, TABLE),
    action=Action.READ_DRIVER,
)  # fmt: skip
FLEET_SUMMARY = Operation(
    "get", f"{FLEET}/summary", "readFleetSummary", "Statistics", "Sums of the fleet",
    "Likewise of every driver with fixes in the span, or of all together (`group=none`).",
    answers={200: Answer("A page of drivers; a Link header with `rel=next` leads to the next.", {
        JSON: Media(FleetSummaryAnswer, {
            **ASKED, "group": "driver", "count": 1, "total": SUMS, "next_cursor": None,
            "drivers": [{"driver_id": "driver-7", **SUMS, "buckets": [PACE]}],
        }),
        CSV: Media(None, "driver_id,fixes,distance_m\r\n"),
    }, {})},
    errors=(422, 503),
    params=(
        *SPAN,
        Param("group", Literal["driver", "none"], "Default: driver.", "driver"),
        BY, ZONE,
        Param("limit", Annotated[int, Meta(ge=1, le=DRIVERS_MAX)],
              f"Drivers on a page; default {DRIVERS}.", DRIVERS),
        Param("cursor", str, "The `next_cursor` of the page before.", "driver-7"),
        TABLE,
    ),
    action=Action.READ_FLEET,
)  # fmt: skip
HEAT = Operation(
    "get", f"{FLEET}/heat", "readHeat", "Statistics", "Heat map",
    f"H3 cells of whole hours, {HEAT_SPAN_MAX.days} days at most: how many drivers were there, "
    "fixes, stops that began, or the mean speed of what moved (km/h). 503 where the package h3 "
    "is not installed.",
    answers={200: Answer("Cells with a value, the highest first.", {
        JSON: Media(HeatAnswer, {
            "start_time": AT, "end_time": LATER, "resolution": 8, "of": "drivers", "count": 1,
            "cells": [CELL],
        }),
        GEOJSON: Media(Features, {
            "type": "FeatureCollection", "features": [_feature(POINT, {"value": 42})],
        }),
    }, {})},
    errors=(422, 503),
    params=(
        Param("start_time", Time, "Default: an hour before `end_time`.", AT),
        Param("end_time", Time, "Default: now.", LATER),
        Param("resolution", Annotated[int, Meta(ge=COARSEST, le=FINEST)],
              f"Of the cells; default {FINEST}: about a kilometre across.", FINEST),
        Param("bbox", str, "West, south, east, north; degrees.", "-74.1,40.6,-73.8,40.9"),
        Param("of", Literal["drivers", "fixes", "stops", "speed"], "Default: drivers.", "drivers"),
        Param("format", Literal["json", "geojson"], "Default: json.", "json"),
    ),
    action=Action.READ_FLEET,
)  # fmt: skip

OPERATIONS = (TRIPS, STOPS, SUMMARY, FLEET_SUMMARY, HEAT)
