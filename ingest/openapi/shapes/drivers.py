"""Answers about drivers, orders and health, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from common.event import LocationEvent
from ingest.openapi.shapes.room import RoomLeft
from ingest.resources.health_report import ShardHealth

_MESSAGE_ID = "shard, stream id of the entry, and the place in it where it holds several fixes"

T = TypeVar("T")
# A field that may be absent.
Maybe: TypeAlias = T | msgspec.UnsetType


class FixAccepted(msgspec.Struct):
    """The stream has the fix."""

    status: Literal["accepted"]
    message_id: Annotated[str, Meta(description=_MESSAGE_ID)]
    recorded_at: datetime


class ItemFault(msgspec.Struct):
    """One field of one fix of a batch."""

    index: Annotated[int, Meta(ge=0)]
    field: str
    detail: str


class BatchAccepted(msgspec.Struct):
    """How many fixes the streams have, and what is wrong with the others."""

    accepted: Annotated[int, Meta(ge=1)]
    rejected: Annotated[int, Meta(ge=0)]
    errors: list[ItemFault]


class FieldFault(msgspec.Struct, omit_defaults=True):
    """A field that is at fault; `index` is the fix of a batch."""

    field: str
    detail: str
    index: Maybe[int] = msgspec.UNSET


class ProblemDetails(msgspec.Struct):
    """A failure, as RFC 9457 says."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    errors: Maybe[list[FieldFault]] = msgspec.UNSET


class Point(msgspec.Struct):
    """A fix of a route."""

    recorded_at: datetime
    received_at: datetime
    latitude: float
    longitude: float
    speed: float | None
    heading: float | None
    accuracy: float | None
    order_id: str | None
    altitude: Maybe[float] = msgspec.UNSET
    battery: Maybe[float] = msgspec.UNSET


class RoutePage(msgspec.Struct):
    """A page of a driver's route, oldest first."""

    driver_id: str
    start_time: datetime
    end_time: datetime
    count: Annotated[int, Meta(ge=0)]
    points: list[Point]
    next_cursor: Annotated[str | None, Meta(description="for the next page; null on the last one")]


class Geometry(msgspec.Struct):
    """GeoJSON, with altitude where every fix has one; a line is cut where it crosses 180°."""

    type: Literal["Point", "LineString", "MultiLineString"]
    coordinates: list[float | list[float | list[float]]]


class RouteFeature(msgspec.Struct):
    """A page of a route as a GeoJSON Feature (RFC 7946).

    `properties` holds `coordTimes`, and a list for each further column, shaped as the coordinates.
    """

    type: Literal["Feature"]
    geometry: Geometry | None
    properties: dict[str, Any]


class NearbyDriver(LocationEvent, kw_only=True):
    """A driver and how far away."""

    distance: Annotated[float, Meta(ge=0, description="metres")]
    remaining_s: Annotated[
        Maybe[float | None], Meta(description="with sort=arrival; null where no road leads there")
    ] = msgspec.UNSET
    remaining_m: Annotated[Maybe[float | None], Meta(description="likewise")] = msgspec.UNSET


class NearbyDrivers(msgspec.Struct):
    """Drivers around a point, the nearest first."""

    count: Annotated[int, Meta(ge=0)]
    drivers: list[NearbyDriver]
    method: Annotated[
        Maybe[Literal["roads", "history", "straight"]],
        Meta(description="with sort=arrival: how the times are known"),
    ] = msgspec.UNSET
    missing_shards: Annotated[
        Maybe[list[int]],
        Meta(description="shards whose Redis does not answer: their drivers are not among these"),
    ] = msgspec.UNSET


class OrderEnded(msgspec.Struct):
    """Tracking of the order has ended."""

    status: Literal["accepted"]
    order_id: str


class OrderLink(msgspec.Struct):
    """A link that shows one order until it expires or the order is complete."""

    token: str
    url: Annotated[str, Meta(description="the customer's page; the token is in its fragment")]
    expires_at: datetime


Up = Literal["up", "down"]


class Health(msgspec.Struct):
    """The state of the pipeline; without an operator's token only `status`, when AUTH=on."""

    status: Literal["ok", "degraded", "down"]
    redis: Maybe[Up] = msgspec.UNSET
    database: Maybe[Up] = msgspec.UNSET
    pending_messages: Annotated[
        Maybe[int | None], Meta(description="fixes that a consumer has read and not yet stored")
    ] = msgspec.UNSET
    backlog: Annotated[Maybe[int | None], Meta(description="fixes that nobody has read yet")] = (
        msgspec.UNSET
    )
    dead_letters: Maybe[int | None] = msgspec.UNSET
    shards: Maybe[list[ShardHealth]] = msgspec.UNSET
    missing_shards: Annotated[
        Maybe[list[int]], Meta(description="shards whose Redis does not answer")
    ] = msgspec.UNSET
    unreplicated_shards: Annotated[
        Maybe[list[int]],
        Meta(description="shards whose Redis has no replica though REPLICATION wants one"),
    ] = msgspec.UNSET
    leaving_shards: Annotated[
        Maybe[list[ShardHealth]],
        Meta(
            description="while the number of shards changes: those that are not written any more; "
            "the sums count them, too"
        ),
    ] = msgspec.UNSET
    room: Annotated[
        Maybe[RoomLeft], Meta(description="how many fixes may still wait, and how long that lasts")
    ] = msgspec.UNSET
    missing_databases: Annotated[
        Maybe[list[int]],
        Meta(description="databases (of DATABASE_URLS, from 1) that do not answer"),
    ] = msgspec.UNSET
    # What phone apps sent and was not stored so: app -> reason -> how often.
    apps: Maybe[dict[str, dict[str, int]]] = msgspec.UNSET


class Alive(msgspec.Struct):
    """The process runs."""

    status: Literal["ok"]
