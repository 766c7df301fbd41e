"""What answers about the roads look like: types for the description."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingest.openapi.shapes.insight import Amount, Metres, Span

RoadMethod = Annotated[
    Literal["roads", "history", "straight"],
    Meta(description="by the road graph, by the fleet's own trips, or by the straight line"),
]
SpanRow = list[Span | None]
MetresRow = list[Metres | None]
# Places of a line, or lines of places.
RoadLines = Annotated[list[list[float | list[float]]], Meta(description="longitude, latitude")]


class TravelMatrix(msgspec.Struct):
    """A row for each source, in it a column for each target; null where there is no way."""

    durations_s: list[SpanRow]
    distances_m: list[MetresRow]
    method: RoadMethod
    without_position: Annotated[
        list[str], Meta(description="drivers without a current position: their figures are null")
    ]


class RoadGeometry(msgspec.Struct):
    """A line along the roads, in parts where it has gaps or crosses 180°."""

    type: Literal["LineString", "MultiLineString"]
    coordinates: RoadLines


class WayLeg(msgspec.Struct):
    """Between two points that were asked for."""

    duration_s: Span
    distance_m: Metres


class WayFacts(msgspec.Struct):
    """How long it takes, how far it is, and how that is known."""

    duration_s: Span
    distance_m: Metres
    method: RoadMethod
    legs: list[WayLeg]


class WayFeature(msgspec.Struct):
    """A way as a GeoJSON Feature (RFC 7946)."""

    type: Literal["Feature"]
    geometry: RoadGeometry
    properties: WayFacts


class MatchedStretch(msgspec.Struct):
    """A stretch of the route; confidence is null where there is no road graph."""

    start_time: datetime
    end_time: datetime
    distance_m: Metres
    confidence: Annotated[float, Meta(ge=0, le=1)] | None


class MatchedFacts(msgspec.Struct):
    """What of the route was found on the roads."""

    driver_id: str
    start_time: datetime
    end_time: datetime
    count: Amount
    distance_m: Metres
    method: RoadMethod
    pieces: list[MatchedStretch]
    next_cursor: Annotated[str | None, Meta(description="for the next page; null on the last one")]


class MatchedFeature(msgspec.Struct):
    """A driver's route on the roads as a GeoJSON Feature."""

    type: Literal["Feature"]
    geometry: RoadGeometry | None
    properties: MatchedFacts
