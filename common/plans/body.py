"""A plan as it is asked for: types alone, which the reader, and the API's description, go by.

Times are RFC 3339 or, where a matrix is given, seconds from 0. What is not known is refused: a
plan that overlooks a misspelt window looks like a good one. Pure.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.contract import Vehicle
from common.event import Id, Latitude, Longitude
from common.plans.limits import (
    AMOUNT_MAX,
    DIMENSIONS_MAX,
    JOBS_MAX,
    LEG_M_MAX,
    LEG_S_MAX,
    LIMIT_S_DEFAULT,
    LIMIT_S_MAX,
    LIMIT_S_MIN,
    MATRIX_SIDE_MAX,
    SERVICE_S_MAX,
    SKILLS_MAX,
    SPAN_S_MAX,
    SPEED_FACTOR_MAX,
    SPEED_FACTOR_MIN,
    VEHICLES_MAX,
    WINDOWS_MAX,
)

PlanTime = (
    Annotated[datetime, Meta(tz=True)]
    | Annotated[float, Meta(ge=0, le=SPAN_S_MAX, description="seconds from 0")]
)
Window = tuple[PlanTime, PlanTime]
Windows = Annotated[list[Window], Meta(min_length=1, max_length=WINDOWS_MAX)]
Count = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Amounts = Annotated[list[Count], Meta(max_length=DIMENSIONS_MAX)]
Skill = Annotated[str, Meta(min_length=1, max_length=64)] | int
Skills = Annotated[list[Skill], Meta(max_length=SKILLS_MAX)]
Service = Annotated[float, Meta(ge=0, le=SERVICE_S_MAX, description="seconds")]
Priority = Annotated[int, Meta(ge=0, le=100, description="the highest is served first")]
Seconds = Annotated[float, Meta(ge=0, le=LEG_S_MAX)] | None
Metres = Annotated[float, Meta(ge=0, le=LEG_M_MAX)] | None


class PlanPlace(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A place: `latitude` and `longitude`, or its `index` in the matrix where one is given."""

    latitude: Latitude | None = None
    longitude: Longitude | None = None
    index: Annotated[int, Meta(ge=0, lt=MATRIX_SIDE_MAX)] | None = None


class PlanVehicle(msgspec.Struct, forbid_unknown_fields=True):
    """A vehicle. It starts at `start`, or where its driver is now; it ends wherever without `end`.

    `shift`: from when to when it may drive; without one from now on. `max_jobs`: a shipment is
    two. `speed_factor`: 2 takes half of the matrix' times. `aboard`: shipments that are picked up.
    """

    id: Id
    driver_id: Id | None = None
    start: PlanPlace | None = None
    end: PlanPlace | None = None
    capacity: Amounts | None = None
    skills: Skills | None = None
    shift: Window | None = None
    max_jobs: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] | None = None
    speed_factor: Annotated[float, Meta(ge=SPEED_FACTOR_MIN, le=SPEED_FACTOR_MAX)] | None = None
    aboard: Annotated[list[Id], Meta(max_length=JOBS_MAX)] | None = None


class PlanJob(msgspec.Struct, forbid_unknown_fields=True):
    """A stop. `delivery` is loaded where the route begins, `pickup` stays aboard to its end."""

    id: Id
    at: PlanPlace
    service_s: Service | None = None
    delivery: Amounts | None = None
    pickup: Amounts | None = None
    skills: Skills | None = None
    priority: Priority | None = None
    windows: Windows | None = None


class ShipmentEnd(msgspec.Struct, forbid_unknown_fields=True):
    """The pick-up or the delivery of a shipment; service begins inside one of the windows."""

    at: PlanPlace
    service_s: Service | None = None
    windows: Windows | None = None


class PlanShipment(msgspec.Struct, forbid_unknown_fields=True):
    """From one place to another, in one vehicle. What is aboard needs no `pickup`."""

    id: Id
    delivery: ShipmentEnd
    pickup: ShipmentEnd | None = None
    amount: Amounts | Count | None = None
    skills: Skills | None = None
    priority: Priority | None = None


class PlanMatrix(msgspec.Struct, forbid_unknown_fields=True):
    """Seconds and metres from each place (a row) to each place; null where there is no way."""

    durations_s: list[list[Seconds]]
    distances_m: list[list[Metres]] | None = None


class PlanBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a plan is made of.

    `keep`: `aboard` (default): what is aboard stays with its vehicle. `assigned`: so do orders
    that name a driver of the plan, and those that are picked up are aboard. `nothing`: `aboard` is
    not looked at, and everything is to be picked up.
    """

    vehicles: Annotated[list[PlanVehicle], Meta(min_length=1, max_length=VEHICLES_MAX)]
    jobs: Annotated[list[PlanJob], Meta(max_length=JOBS_MAX)] = []
    shipments: Annotated[list[PlanShipment], Meta(max_length=JOBS_MAX // 2)] = []
    keep: Literal["assigned", "aboard", "nothing"] = "aboard"
    limit_s: Annotated[float, Meta(ge=LIMIT_S_MIN, le=LIMIT_S_MAX)] = LIMIT_S_DEFAULT
    matrix: PlanMatrix | None = None
    vehicle: Vehicle = "car"
