"""A fence as it is given, and as the table takes it: types alone. Pure."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from common.fences.limits import (
    DRIVERS_MAX,
    DWELL_S_MAX,
    DWELL_S_MIN,
    NAME_CHARS_MAX,
    RADIUS_M_MAX,
    RADIUS_M_MIN,
    WIDTH_M_MAX,
    WIDTH_M_MIN,
)

PATTERN_TEXT = "an id, or the beginning of ids and a *"

GEOMETRY_TEXT = (
    "GeoJSON Polygon, MultiPolygon, Point with `radius_m`, or LineString with `width_m`; those "
    "two stand in the geometry or beside it"
)

Geometry = Annotated[dict[str, Any], Meta(description=GEOMETRY_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Radius = Annotated[float, Meta(ge=RADIUS_M_MIN, le=RADIUS_M_MAX, description="metres")]
Width = Annotated[float, Meta(ge=WIDTH_M_MIN, le=WIDTH_M_MAX, description="metres, all of it")]
Pattern = Annotated[str, Meta(min_length=1, max_length=65, description=PATTERN_TEXT)]
Patterns = Annotated[list[Pattern], Meta(min_length=1, max_length=DRIVERS_MAX)]
Dwell = Annotated[float, Meta(ge=DWELL_S_MIN, le=DWELL_S_MAX, description="seconds")]


class FenceBody(msgspec.Struct):
    """A fence as it is given. `radius_m` and `width_m` may also stand in the geometry."""

    name: Name
    geometry: Geometry
    radius_m: Radius | None = None
    width_m: Width | None = None
    drivers: Patterns | None = None
    dwell_s: Dwell | None = None
    schedule: dict[str, Any] | None = None
    active: bool = True
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class FenceTerms(msgspec.Struct, frozen=True):
    """A fence that was judged good, as the table takes it."""

    geofence_id: str
    name: str
    geometry: dict[str, Any]
    radius_m: float | None
    width_m: float | None
    vertices: int
    drivers: list[str] | None
    dwell_s: float | None
    schedule: dict[str, Any] | None
    active: bool
    expires_at: datetime | None
