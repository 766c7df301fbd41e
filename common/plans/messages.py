"""What ingest and the planner say to each other on a connection of one plan. Pure.

    ingest                                planner
    PlanAsked   ── the body as it came ──►
                ◄── whose positions? ──    LookUp          (only where the plan needs any)
    LookedUp    ── those that are live ──►
                ◄── the answer ──          PlanMade | PlanInvalid | PlanBusy | PlanFailed

The planner sees no token and asks no store: who may ask is ingest's to say.
"""

from typing import NamedTuple

import msgspec

from common.contract import Vehicle
from common.roads.pace import PaceFit


class DriverOfOrder(NamedTuple):
    """Whose an order is, and whether it is picked up."""

    driver_id: str
    aboard: bool


class PlanAsked(msgspec.Struct, tag="asked", frozen=True):
    """Make a plan of this body (JSON)."""

    body: bytes


class LookUp(msgspec.Struct, tag="look_up", frozen=True):
    """Where are these drivers, whose are these orders, how long does such a vehicle take?"""

    drivers: list[str]
    orders: list[str]
    # None: a matrix is given.
    vehicle: Vehicle | None


class LookedUp(msgspec.Struct, tag="looked_up", frozen=True):
    """Drivers with a live position (latitude, longitude); orders that are active and assigned.

    `fit`: what the fleet's own trips say of the vehicle; None while they say nothing.
    """

    positions: dict[str, tuple[float, float]]
    orders: dict[str, DriverOfOrder]
    fit: PaceFit | None = None


class PlanMade(msgspec.Struct, tag="made", frozen=True):
    """The answer's body (JSON)."""

    body: bytes


class PlanInvalid(msgspec.Struct, tag="invalid", frozen=True):
    """The body is at fault: status 400 or 422, and (field, detail) of each fault."""

    status: int
    detail: str
    faults: list[tuple[str, str]]


class PlanBusy(msgspec.Struct, tag="busy", frozen=True):
    """Too many plans are under way."""

    detail: str
    retry_after_s: int


class PlanFailed(msgspec.Struct, tag="failed", frozen=True):
    """No plan could be made; another try may."""

    detail: str
    retry_after_s: int


FromIngest = PlanAsked | LookedUp
FromPlanner = LookUp | PlanMade | PlanInvalid | PlanBusy | PlanFailed

encode_message = msgspec.msgpack.Encoder().encode
decode_from_ingest = msgspec.msgpack.Decoder(FromIngest).decode
decode_from_planner = msgspec.msgpack.Decoder(FromPlanner).decode
