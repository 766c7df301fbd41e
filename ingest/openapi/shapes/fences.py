"""Geofences, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ingest.openapi.shapes.insight import Amount, Cursor, Span

Positions = Annotated[list[Any], Meta(min_length=1, description="longitude, latitude in degrees")]


class FenceGeometry(msgspec.Struct):
    """GeoJSON: an area, a circle (Point with `radius_m`) or a corridor (LineString with `width_m`).

    Edges are straight in longitude and latitude. A ring or line whose next position is more than
    180 degrees away crosses 180°.
    """

    type: Literal["Polygon", "MultiPolygon", "Point", "LineString"]
    coordinates: Positions


class FenceWindow(msgspec.Struct):
    """When a fence is on. One that ends at or before its beginning passes midnight."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    # Named as they stand in JSON: `from` is a word of Python.
    from_: str = msgspec.field(name="from")
    to: str


class FenceSchedule(msgspec.Struct):
    """Windows of the week by the clock on the wall of a time zone."""

    tz: str
    windows: list[FenceWindow]


class Geofence(msgspec.Struct):
    """A geofence as it is stored; what is not set is null."""

    geofence_id: str
    name: str
    geometry: FenceGeometry
    radius_m: float | None
    width_m: float | None
    drivers: Annotated[
        list[str] | None, Meta(description="ids, and prefixes that end in *; null: everybody")
    ]
    dwell_s: float | None
    schedule: FenceSchedule | None
    active: bool
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: Annotated[int, Meta(description="counts the changes of all geofences")]


class GeofencePage(msgspec.Struct):
    """A page of geofences by id."""

    count: Amount
    geofences: list[Geofence]
    next_cursor: Cursor


class DriverInside(msgspec.Struct):
    """A driver in a geofence, since its first fix inside."""

    driver_id: str
    entered_at: datetime
    duration_s: Span
    dwelt: Annotated[bool, Meta(description="whether `geofence.dwell` was told")]


class InsidePage(msgspec.Struct):
    """A page of the drivers in a geofence, by id."""

    geofence_id: str
    count: Amount
    drivers: list[DriverInside]
    next_cursor: Cursor


class ImportedFences(msgspec.Struct):
    """What an import did."""

    imported: Amount
    created: Amount
    changed: Amount
