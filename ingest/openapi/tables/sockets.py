"""Paths of the sockets that the fan-out serves. Data only."""

from typing import Annotated

from msgspec import Meta

from common.access.policy import Action
from ingest.openapi.operation import Operation, Param, answer
from ingest.openapi.shapes.arrivals import ArrivalFrame
from ingest.openapi.shapes.sockets import PositionsFrame, UpdateFrame
from ingest.openapi.tables.drivers import EVENT, ORDER

SOCKET = (
    "A WebSocket (RFC 6455), on the front door or the fan-out's port. Clients say nothing; more "
    "than 1 KiB closes 1009. Pings come every 25 s. The token goes into `Authorization`, into the "
    "subprotocol `bearer.<token>` beside `fleetline.v1`, or into `?token=`.\n\n"
    "Closed with 1001 (server going away) or 1013 (full): come back. 1008 (not allowed), "
    "4000 (tracking ended), 4003 (token expired or revoked): do not."
)
UPGRADE = {101: answer("The socket is open.")}
TOKEN = Param("token", str, "The token, for clients that can set no header.", "eyJhbGciOi…")
WATCH_ORDER = Operation(
    "get", "/api/v1/drivers/orders/{order_id}/driver-location", "watchOrder", "Live",
    "Watch an order",
    "First the newest position, if there is one, then each newer one, as `location_update`; "
    "after the first, `arrival` when the order has a drop-off, and again when it moved by 30 s or "
    "more, at most once in 10 s; "
    f"`tracking_ended` before close 4000.\n\n{SOCKET}",
    UPGRADE,
    errors=(422, 503),
    params=(ORDER, TOKEN),
    action=Action.READ_ORDER,
    schemes=("token",),
    extra={
        "x-websocket": {
            "frames": (UpdateFrame, ArrivalFrame),
            "example": {"type": "location_update", "data": EVENT},
        }
    },
)  # fmt: skip
WATCH_FLEET = Operation(
    "get", "/api/v1/fleet/live", "watchFleet", "Live", "Watch the fleet",
    "Drivers inside a box, at most once a second each, newest only, many positions a "
    f"frame.\n\n{SOCKET}",
    UPGRADE,
    errors=(422, 503),
    params=(
        Param("bbox", str, "West, south, east, north; degrees.", "-74.1,40.6,-73.8,40.9",
              required=True),
        Param("n", Annotated[int, Meta(ge=1, le=5000)], "Positions of a frame at most.", 1000),
        TOKEN,
    ),
    action=Action.WATCH_FLEET,
    schemes=("token",),
    extra={
        "x-websocket": {
            "frames": PositionsFrame,
            "example": {"type": "positions", "data": [EVENT]},
        }
    },
)  # fmt: skip

OPERATIONS = (WATCH_ORDER, WATCH_FLEET)
