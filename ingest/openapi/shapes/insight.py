"""Answers about trips, stops and statistics, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Metres = Annotated[float, Meta(ge=0, description="metres")]
Span = Annotated[float, Meta(ge=0, description="seconds")]
Kmh = Annotated[float | None, Meta(description="km/h; null where no speed is known")]
Amount = Annotated[int, Meta(ge=0)]
Cursor = Annotated[str | None, Meta(description="for the next page; null on the last one")]


class Place(msgspec.Struct):
    """Where something began or ended."""

    latitude: float
    longitude: float


class TripItem(msgspec.Struct):
    """The movement between two stops or gaps. An open one ends, so far, with the last fix."""

    trip_id: str
    start_time: datetime
    end_time: datetime
    start: Place
    end: Place
    distance_m: Metres
    duration_s: Span
    moving_s: Span
    max_speed: Kmh
    fixes: Amount
    open: bool


class TripPage(msgspec.Struct):
    """A page of a driver's trips; what began first comes first."""

    driver_id: str
    start_time: datetime
    end_time: datetime
    count: Amount
    trips: list[TripItem]
    next_cursor: Cursor


class StopItem(msgspec.Struct):
    """The driver stayed near its first fix, from it to the first one beyond the radius."""

    start_time: datetime
    end_time: datetime
    latitude: float
    longitude: float
    duration_s: Span
    fixes: Amount
    ended_by: Literal["move", "gap"] | None
    open: bool


class StopPage(msgspec.Struct):
    """A page of a driver's stops; what began first comes first."""

    driver_id: str
    start_time: datetime
    end_time: datetime
    count: Amount
    stops: list[StopItem]
    next_cursor: Cursor


class Features(msgspec.Struct):
    """A GeoJSON FeatureCollection (RFC 7946); `properties` are those of the JSON answer."""

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]


class DriverSums(msgspec.Struct):
    """Sums of a span: moving, standing and gaps are all the time between the first fix and the
    last. `first` and `last` are times of fixes.
    """

    fixes: Amount
    distance_m: Metres
    moving_s: Span
    stopped_s: Span
    gap_s: Span
    trips: Amount
    stops: Amount
    over_limit_s: Span
    max_speed: Kmh
    first: datetime | None
    last: datetime | None


class SumsBucket(DriverSums):
    """Sums of an hour or a day, as far as the span goes."""

    start_time: datetime
    end_time: datetime


class DriverSummaryAnswer(msgspec.Struct):
    """A driver's sums. The span is made of whole quarters of an hour."""

    driver_id: str
    start_time: datetime
    end_time: datetime
    by: Literal["hour", "day"] | None
    tz: str
    buckets: list[SumsBucket]
    total: DriverSums


class PaceBucket(msgspec.Struct):
    """What a driver did in an hour or a day."""

    start_time: datetime
    distance_m: Metres
    moving_s: Span
    stopped_s: Span


class FleetDriver(DriverSums):
    """Sums of one driver; `buckets` where `by` was asked for."""

    driver_id: str
    buckets: list[PaceBucket] | msgspec.UnsetType = msgspec.UNSET


class FleetSummaryAnswer(msgspec.Struct):
    """Drivers with fixes in the span, in order of their ids; `total` of this page."""

    start_time: datetime
    end_time: datetime
    by: Literal["hour", "day"] | None
    tz: str
    group: Literal["driver", "none"]
    count: Amount
    total: DriverSums
    next_cursor: Cursor
    drivers: list[FleetDriver] | msgspec.UnsetType = msgspec.UNSET


class HeatCell(msgspec.Struct):
    """An H3 cell, its middle, and its value."""

    cell: str
    latitude: float
    longitude: float
    value: float


class HeatAnswer(msgspec.Struct):
    """Cells with a value, the highest first. The span is made of whole hours."""

    start_time: datetime
    end_time: datetime
    resolution: int
    of: Literal["drivers", "fixes", "stops", "speed"]
    count: Amount
    cells: list[HeatCell]
