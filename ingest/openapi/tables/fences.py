"""Paths of geofences. Data only."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from common.access.policy import Action
from common.event import Id
from common.fences import limits
from common.fences.terms import FenceBody
from ingest.http.queries.fences import FENCES_PAGE, FENCES_PAGE_MAX, INSIDE_PAGE, INSIDE_PAGE_MAX
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.fences import (
    Geofence,
    GeofencePage,
    ImportedFences,
    InsidePage,
)
from ingest.openapi.shapes.insight import Features
from ingest.openapi.tables.drivers import AT
from ingest.resources.fences.judge import FeatureCollection

PATH = "/api/v1/geofences"
GEOJSON = "application/geo+json"
FENCE = Param("geofence_id", Id, "Which geofence.", "depot-north", "path")
CURSOR = Param("cursor", str, "The `next_cursor` of the page before.", "depot-north")
POINT = {"type": "Point", "coordinates": [-74.006, 40.7128]}
BODY: dict[str, Any] = {
    "name": "Depot north", "geometry": POINT, "radius_m": 75, "drivers": ["van-*"],
    "dwell_s": 120,
    "schedule": {
        "tz": "America/New_York",
        "windows": [{"days": ["mon", "fri"], "from": "08:00", "to": "18:00"}],
    },
}  # fmt: skip
STORED: dict[str, Any] = {
    "geofence_id": "depot-north", **BODY, "width_m": None, "active": True, "expires_at": None,
    "created_at": AT, "updated_at": AT, "version": 7,
}  # fmt: skip
FEATURE = {
    "type": "Feature", "id": "depot-north", "geometry": POINT,
    "properties": {"name": "Depot north", "radius_m": 75},
}  # fmt: skip
COLLECTION = {"type": "FeatureCollection", "features": [FEATURE]}
INSIDE = {"driver_id": "van-7", "entered_at": AT, "duration_s": 312.5, "dwelt": True}
LIMITS_TEXT = (
    f"At most {limits.FENCES_MAX:,} geofences with {limits.VERTICES_SUM_MAX:,} vertices, "
    f"{limits.VERTICES_MAX:,} of one; {limits.AREA_KM2_MAX:,.0f} km² of an area, "
    f"{limits.LENGTH_KM_MAX:,.0f} km of a corridor."
)

PUT = Operation(
    "put", f"{PATH}/{{geofence_id}}", "putGeofence", "Geofences", "Make or change a geofence",
    "What the body leaves out is unset. Every process knows the change within a second. Geometry "
    "that is not well-formed is refused with what is wrong and where: a ring that is not closed, "
    f"or crosses itself (at which place), swapped coordinates. {LIMITS_TEXT} 503 where the "
    "package shapely is not installed.",
    answers={
        200: answer("Changed.", Geofence, STORED),
        201: answer("Made.", Geofence, STORED),
    },
    errors=(400, 408, 413, 415, 422, 503),
    params=(FENCE,),
    body={JSON: Media(FenceBody, BODY)},
    action=Action.WRITE_FENCES,
)  # fmt: skip
READ = Operation(
    "get", f"{PATH}/{{geofence_id}}", "readGeofence", "Geofences", "A geofence",
    "As it is stored.",
    answers={200: answer("The geofence.", Geofence, STORED)},
    errors=(404, 422, 503),
    params=(FENCE,),
    action=Action.READ_FENCES,
)  # fmt: skip
DELETE = Operation(
    "delete", f"{PATH}/{{geofence_id}}", "deleteGeofence", "Geofences", "Delete a geofence",
    "Drivers that are inside are told to have left: `geofence.exit` with the reason `deleted`.",
    answers={204: answer("Deleted.")},
    errors=(404, 422, 503),
    params=(FENCE,),
    action=Action.WRITE_FENCES,
)  # fmt: skip
LIST = Operation(
    "get", PATH, "readGeofences", "Geofences", "All geofences",
    "By id. `format=geojson` is what the import takes.",
    answers={200: Answer(
        "A page; a Link header with `rel=next` leads to the next.",
        {
            JSON: Media(GeofencePage, {"count": 1, "geofences": [STORED], "next_cursor": None}),
            GEOJSON: Media(Features, COLLECTION),
        },
        {},
    )},
    errors=(422, 503),
    params=(
        Param("limit", Annotated[int, Meta(ge=1, le=FENCES_PAGE_MAX)],
              f"Default {FENCES_PAGE}.", FENCES_PAGE),
        CURSOR,
        Param("format", Literal["json", "geojson"], "Default: json.", "json"),
    ),
    action=Action.READ_FENCES,
)  # fmt: skip
IMPORT = Operation(
    "post", f"{PATH}/import", "importGeofences", "Geofences", "Import geofences",
    "Makes or changes a geofence for each feature: all, or none where one is at fault. The id is "
    "the feature's `id` or its property `geofence_id`, the other fields are its properties, and "
    "a feature without a name is named as its id. Errors name the feature.",
    answers={200: answer("All are stored.", ImportedFences, {
        "imported": 1, "created": 1, "changed": 0,
    })},
    errors=(400, 408, 413, 415, 422, 503),
    body={
        JSON: Media(FeatureCollection, COLLECTION),
        GEOJSON: Media(FeatureCollection, COLLECTION),
    },
    action=Action.WRITE_FENCES,
)  # fmt: skip
DRIVERS = Operation(
    "get", f"{PATH}/{{geofence_id}}/drivers", "readGeofenceDrivers", "Geofences",
    "Who is inside now",
    "Drivers whose visit goes on: that entered and were not told to have left.",
    answers={200: answer("A page by id; a Link header with `rel=next` leads to the next.",
                         InsidePage, {
        "geofence_id": "depot-north", "count": 1, "drivers": [INSIDE], "next_cursor": None,
    })},
    errors=(404, 422, 503),
    params=(
        FENCE,
        Param("limit", Annotated[int, Meta(ge=1, le=INSIDE_PAGE_MAX)],
              f"Default {INSIDE_PAGE}.", INSIDE_PAGE),
        CURSOR,
    ),
    action=Action.READ_FENCES,
)  # fmt: skip

OPERATIONS = (LIST, PUT, READ, DELETE, IMPORT, DRIVERS)
