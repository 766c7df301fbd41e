"""The API's own paths, row by row: drivers, orders, health. Data only."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from common.access.policy import Action
from common.contract import Vehicle
from common.event import Id, Latitude, LocationEvent, LocationUpdate, Longitude
from ingest.http.queries.query import (
    NEARBY,
    NEARBY_MAX,
    RADIUS_M,
    RADIUS_M_MAX,
    ROUTE_POINTS,
    ROUTE_POINTS_MAX,
    SIMPLIFY_M_MAX,
)
from ingest.intake.batch import ERRORS_MAX
from ingest.openapi.dated import Dated
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.drivers import (
    Alive,
    BatchAccepted,
    FixAccepted,
    Health,
    NearbyDrivers,
    OrderEnded,
    OrderLink,
    RouteFeature,
    RoutePage,
)

DRIVERS, ORDERS = "/api/v1/drivers", "/api/v1/orders"
AT, ARRIVED = Dated("{day}T00:00:00Z"), Dated("{day}T00:00:00.214Z")
LATER = Dated("{day}T01:00:00Z")
FIX = {
    "latitude": 40.7128, "longitude": -74.006, "speed": 45.5, "heading": 180, "accuracy": 10.0,
    "order_id": "order_123", "recorded_at": AT,
}  # fmt: skip
EVENT = {"driver_id": "driver-7", **FIX, "received_at": ARRIVED}
POINT = {**FIX, "received_at": ARRIVED}
SHARD = {
    "shard": 0, "backlog": 0, "pending": 12, "oldest_pending_ms": 80, "dead_letters": 0,
    "consumer": "up",
}  # fmt: skip
ROOM = {
    "lasts_s": None, "outage_s": 5210.4,
    "shards": [{"shard": 0, "fixes": 2_605_210, "lasts_s": None, "outage_s": 5210.4}],
    "servers": [{
        "shards": [0], "lasts_s": None, "outage_s": 5210.4, "used_bytes": 184_549_376,
        "limit_bytes": 1_073_741_824, "room_bytes": 781_818_266, "fix_bytes": 300,
    }],
}  # fmt: skip
HEALTHY = {
    "status": "ok", "redis": "up", "database": "up", "pending_messages": 12, "backlog": 0,
    "dead_letters": 0, "shards": [SHARD], "missing_shards": [], "unreplicated_shards": [],
    "room": ROOM, "apps": {"overland": {"no_interest": 3, "too_old": 1}},
}  # fmt: skip
ROUTE = {
    "driver_id": "driver-7", "start_time": AT, "end_time": LATER, "count": 1,
    "points": [POINT], "next_cursor": None,
}  # fmt: skip
FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [-74.006, 40.7128]},
    "properties": {
        "driver_id": "driver-7",
        "count": 1,
        "coordTimes": [AT],
        "received_at": [ARRIVED],
    },
}
TRACK = '<gpx version="1.1"><trk><name>driver-7</name><trkseg/></trk></gpx>'
ROWS = Dated("recorded_at,latitude,longitude\r\n{day}T00:00:00Z,40.7128,-74.006\r\n")

DRIVER = Param("driver_id", Id, "Whose.", "driver-7", "path")
ORDER = Param("order_id", Id, "Which order.", "order_123", "path")
Limit = Annotated[int, Meta(ge=1, le=ROUTE_POINTS_MAX)]
Count = Annotated[int, Meta(ge=1, le=NEARBY_MAX)]
Radius = Annotated[float, Meta(ge=0, le=RADIUS_M_MAX)]
Tolerance = Annotated[float, Meta(ge=0, le=SIMPLIFY_M_MAX)]
Time = Annotated[datetime, Meta(tz=True)]

SEND = Operation(
    "post", f"{DRIVERS}/{{driver_id}}/location", "sendFix", "Drivers", "Send a fix",
    "Answered once the fix is on disk. The same driver and `recorded_at` again is accepted again "
    "and stored once, so a client may always repeat what it is not sure of.",
    answers={
        202: answer("The fix is in the stream.", FixAccepted, {
            "status": "accepted", "message_id": Dated("3-{epoch_s}214-0"), "recorded_at": AT,
        }),
    },
    errors=(400, 408, 413, 415, 422, 503),
    params=(DRIVER,),
    body={JSON: Media(LocationUpdate, FIX)},
    action=Action.SEND_FIX,
)  # fmt: skip
SEND_MANY = Operation(
    "post", f"{DRIVERS}/locations", "sendFixes", "Drivers", "Send many fixes",
    "Each is judged alone: the good ones are stored, the others are named. Also takes the bare "
    "list. 422 when none can be accepted. `rejected` counts all of them; `errors` names at most "
    f"{ERRORS_MAX} faults, and beside them every fix that came too fast for its driver's rate.",
    answers={
        202: answer("The good fixes are in their streams.", BatchAccepted, {
            "accepted": 1, "rejected": 1,
            "errors": [{"index": 1, "field": "latitude", "detail": "is required"}],
        }),
    },
    errors=(400, 408, 413, 415, 422, 503),
    body={JSON: Media("batch", {"locations": [{"driver_id": "driver-7", **FIX}]})},
    action=Action.SEND_FIX,
)  # fmt: skip
CURRENT = Operation(
    "get", f"{DRIVERS}/{{driver_id}}/location", "readDriver", "Drivers", "Current position",
    "404 when the driver is unknown or was last heard of longer than `LOCATION_TTL` ago.",
    answers={200: answer("The newest position.", LocationEvent, EVENT)},
    errors=(404, 422, 503),
    params=(DRIVER,),
    action=Action.READ_DRIVER,
)  # fmt: skip
ROUTE_READ = Operation(
    "get", f"{DRIVERS}/{{driver_id}}/route", "readRoute", "Drivers", "Route",
    "Fixes with `start_time` ≤ `recorded_at` < `end_time`, oldest first, page by page.",
    answers={
        200: Answer(
            "A page; a Link header with `rel=next` leads to the next.",
            {
                JSON: Media(RoutePage, ROUTE),
                "application/geo+json": Media(RouteFeature, FEATURE),
                "application/gpx+xml": Media(None, TRACK),
                "text/csv": Media(None, ROWS),
            },
            {},
        ),
    },
    errors=(422, 503),
    params=(
        DRIVER,
        Param("start_time", Time, "Default: 24 hours before `end_time`.", AT),
        Param("end_time", Time, "Default: now.", LATER),
        Param("limit", Limit, f"Points on a page; default {ROUTE_POINTS}.", 1000),
        Param("cursor", str, "The `next_cursor` of the page before.", Dated("{epoch_s}000000")),
        Param("format", Literal["json", "geojson", "gpx", "csv"], "Default: json.", "json"),
        Param("simplify", Tolerance, "Metres: leave out fixes that lie nearer to where the line "
              "through the others has them at their time. 10 keeps some 15 % of them.", 10),
    ),
    action=Action.READ_DRIVER,
)  # fmt: skip
FIND = Operation(
    "get", f"{DRIVERS}/nearby", "findDrivers", "Drivers", "Drivers nearby",
    "The nearest first; never one that is older than `LOCATION_TTL`.",
    answers={
        200: answer("Drivers within the radius.", NearbyDrivers, {
            "count": 1, "drivers": [{**EVENT, "distance": 104.2}],
        }),
    },
    errors=(422, 503),
    params=(
        Param("lat", Latitude, "Latitude, degrees.", 40.7128, required=True),
        Param("lng", Longitude, "Longitude, degrees.", -74.006, required=True),
        Param("radius", Radius, f"Metres; default {RADIUS_M:g}.", 1000),
        Param("limit", Count, f"Drivers at most; default {NEARBY}.", 50),
        Param("sort", Literal["distance", "arrival"], "Default: distance. `arrival`: the same "
              "drivers in order of their travel time to the point, each with `remaining_s` and "
              "`remaining_m` (null where no road leads there), and `method` for all.", "distance"),
        Param("vehicle", Vehicle, "With `sort=arrival`; default: car.", "car"),
    ),
    action=Action.FIND_DRIVERS,
)  # fmt: skip
ORDER_READ = Operation(
    "get", f"{ORDERS}/{{order_id}}/location", "readOrder", "Orders", "Position of an order",
    "The newest position of the order's driver, for a client that polls.",
    answers={200: answer("The newest position.", LocationEvent, EVENT)},
    errors=(404, 422, 503),
    params=(ORDER,),
    action=Action.READ_ORDER,
)  # fmt: skip
ORDER_END = Operation(
    "post", f"{ORDERS}/{{order_id}}/complete", "completeOrder", "Orders", "End tracking",
    "Its watchers are told and their sockets closed; nobody can watch the order any more. Later "
    "fixes that still name it are stored and not shown as this order's. A registered order is "
    "`delivered`. Works without the database, which is told when it is back.",
    answers={
        202: answer("Tracking has ended.", OrderEnded, {
            "status": "accepted", "order_id": "order_123",
        }),
    },
    errors=(422, 503),
    params=(ORDER,),
    action=Action.END_ORDER,
)  # fmt: skip
LINK = {
    "token": "eyJhbGciOiJIUzI1NiJ9…", "expires_at": LATER,
    "url": "https://track.example/track/order_123#token=eyJhbGciOiJIUzI1NiJ9…",
}  # fmt: skip
TRACKING = Operation(
    "post", f"{ORDERS}/{{order_id}}/tracking-token", "makeTrackingLink", "Orders",
    "Make a tracking link",
    "A link for the customer: it shows this order's driver until it expires or the order is "
    "complete.",
    answers={
        200: answer("The link.", OrderLink, LINK),
    },
    errors=(404, 422, 503),
    params=(ORDER,),
    action=Action.START_ORDER,
)  # fmt: skip
HEALTH = Operation(
    "get", "/health", "readHealth", "Health", "State of the pipeline",
    "503 only when fixes cannot be accepted. Answers within a second whatever is down. Roles that "
    "are not named below are told only the status.",
    answers={
        200: answer("Fixes are accepted.", Health, HEALTHY),
        503: answer(
            "Fixes cannot be accepted.", Health, {**HEALTHY, "status": "down", "redis": "down"},
            Retry_After="seconds to wait",
        ),
    },
    action=Action.READ_HEALTH,
    open=True,
)  # fmt: skip
ALIVE = Operation(
    "get", "/health/live", "readAlive", "Health", "The process runs",
    "Says nothing about what it needs. Open to everybody.",
    answers={200: answer("It runs.", Alive, {"status": "ok"})},
)  # fmt: skip

OPERATIONS = (
    SEND, SEND_MANY, CURRENT, ROUTE_READ, FIND, ORDER_READ, ORDER_END, TRACKING, HEALTH, ALIVE,
)  # fmt: skip
