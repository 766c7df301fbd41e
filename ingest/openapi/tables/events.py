"""Paths of what happened: the feed, and the socket that the fan-out serves. Data only."""

from typing import Annotated

from msgspec import Meta

from common.access.policy import Action
from common.event import Id
from ingest.http.queries.events import EVENTS, EVENTS_MAX
from ingest.openapi.operation import Operation, Param, answer
from ingest.openapi.shapes.events import Event, EventPage
from ingest.openapi.tables.drivers import ARRIVED, AT, Time
from ingest.openapi.tables.sockets import SOCKET, TOKEN, UPGRADE

EVENT = {
    "event_id": "evt_9e0bf8c39fd15dac2b403664b6cce9d1", "type": "geofence.enter",
    "driver_id": "driver-7", "geofence_id": "depot", "at": ARRIVED, "recorded_at": AT,
    "data": {"name": "Depot", "latitude": 40.7128, "longitude": -74.006},
}  # fmt: skip

READ = Operation(
    "get", "/api/v1/events", "readEvents", "Events", "What happened",
    "Oldest first, each event once, a driver's in their order. Pages neither miss nor repeat "
    "anything. To follow, ask again with `cursor`: what happened since then comes next. Events "
    "are kept for `EVENTS_RETENTION_DAYS`.",
    answers={200: answer(
        "A page; a Link header with `rel=next` leads to the next.", EventPage,
        {"events": [EVENT], "count": 1, "next_cursor": None, "cursor": "4711"},
    )},
    errors=(422, 503),
    params=(
        Param("since", Time, "Found out then or later; default: 24 hours ago, or none with a "
              "`cursor`.", AT),
        Param("type", str, "One type, or several with commas.", "geofence.enter,geofence.exit"),
        Param("driver_id", Id, "Of this driver.", "driver-7"),
        Param("geofence_id", Id, "Of this geofence.", "depot"),
        Param("limit", Annotated[int, Meta(ge=1, le=EVENTS_MAX)], f"Default {EVENTS}.", EVENTS),
        Param("cursor", str, "The `next_cursor` or `cursor` of an earlier page.", "4711"),
    ),
    action=Action.READ_EVENTS,
)  # fmt: skip
WATCH = Operation(
    "get", "/api/v1/events/live", "watchEvents", "Live", "Watch what happens",
    "Each event as it is found out, one a frame, at least once (`event_id` tells a repeat). A "
    "reader that is too slow, and all of them when some may have been missed, are closed with "
    f"1013: read `/api/v1/events` from where you were, and come back.\n\n{SOCKET}",
    UPGRADE,
    errors=(503,),
    params=(TOKEN,),
    action=Action.READ_EVENTS,
    schemes=("token",),
    extra={"x-websocket": {"frames": Event, "example": EVENT}},
)  # fmt: skip

OPERATIONS = (READ, WATCH)
