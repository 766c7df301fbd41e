"""A plan as it is answered: types, from which the bytes are made and the API is described. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from common.plans.body import PlanPlace


class UnassignedReason(StrEnum):
    """Why something is left over; the values are public."""

    # No way leads there, or from there.
    NO_WAY = "no_way"
    # No vehicle has the skills; or it is aboard, or assigned, and its vehicle has not.
    NO_SKILLS = "no_vehicle_with_skills"
    # It is more than any vehicle that could has room for when it is empty.
    TOO_LARGE = "too_large"
    # No vehicle that could can be there in time, and back before its shift ends.
    WINDOW = "window_cannot_be_met"
    # A vehicle could, had it not so much else to do, or might it make more stops.
    NO_ROOM = "no_room"


StopTime = Annotated[datetime, Meta(tz=True)] | float


class PlanStop(msgspec.Struct):
    """A stop. The vehicle arrives at `arrival_at`, waits, serves; `load` is what it has after it.

    The first is the start, where `arrival_at` is when to leave; the last is the end, if it has one.
    """

    type: Literal["start", "job", "pickup", "delivery", "end"]
    id: str | None
    at: PlanPlace
    arrival_at: StopTime
    wait_s: float
    service_s: float
    load: list[int]


class PlanRoute(msgspec.Struct):
    """What a vehicle does. `duration_s`: from leaving its start, waits and stops and all.

    `distance_m` is null where the matrix has no distances; `geometry`, a GeoJSON LineString, is
    there where the road engine knows the way.
    """

    vehicle: str
    driver_id: str | None
    stops: list[PlanStop]
    duration_s: float
    distance_m: float | None
    geometry: dict[str, Any] | UnsetType = UNSET


class Unassigned(msgspec.Struct):
    """A job or a shipment that no vehicle serves."""

    id: str
    reason: UnassignedReason


class PlanAnswer(msgspec.Struct):
    """A plan. `cost`: seconds that all vehicles travel, of which there are as few as were found.

    `method`: where the times of travel are from; `matrix` where one was given.
    """

    routes: list[PlanRoute]
    unassigned: list[Unassigned]
    cost: float
    method: Literal["roads", "history", "straight", "matrix"]
    computed_in_ms: int
