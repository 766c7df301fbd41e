"""An order as it is stored, shown and kept in Redis, and what a PUT changes in it. Pure."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import orjson
from msgspec import UNSET, Meta, UnsetType

from common.bodies.fault_list import FaultList, decode_json
from common.contract import Vehicle
from common.event import Id, Latitude, Longitude
from common.orders.states import OVER, DeliveryState, advance

Instant = Annotated[datetime, Meta(tz=True)]
# Times outside these have no day in UTC, or none that PostgreSQL and Python both know.
TIME_MIN, TIME_MAX = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class OrderPlace(msgspec.Struct, frozen=True, gc=False):
    """A place in WGS84 degrees."""

    latitude: Latitude
    longitude: Longitude


class OrderUpdate(msgspec.Struct, frozen=True):
    """What a PUT says: what is not named stays as it is, null removes it."""

    driver_id: Id | UnsetType | None = UNSET
    vehicle: Vehicle | UnsetType | None = UNSET
    pickup: OrderPlace | UnsetType | None = UNSET
    dropoff: OrderPlace | UnsetType | None = UNSET
    ready_at: Instant | UnsetType | None = UNSET
    promised_at: Instant | UnsetType | None = UNSET


# The fields that a PUT may change.
FIELDS: tuple[str, ...] = OrderUpdate.__struct_fields__


class StateTimes(msgspec.Struct, frozen=True, gc=False):
    """When an order came into each state; None where it has not, or went past it. UTC."""

    new: datetime
    assigned: datetime | None = None
    at_pickup: datetime | None = None
    picked_up: datetime | None = None
    arriving: datetime | None = None
    delivered: datetime | None = None
    cancelled: datetime | None = None

    @property
    def over(self) -> datetime | None:
        """When the order was over."""
        return self.delivered or self.cancelled


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order. Its JSON begins with `version`, which grows with each change; times are UTC."""

    version: int
    order_id: str
    driver_id: str | None = None
    vehicle: Vehicle | None = None
    pickup: OrderPlace | None = None
    dropoff: OrderPlace | None = None
    ready_at: datetime | None = None
    promised_at: datetime | None = None
    state: DeliveryState = DeliveryState.NEW
    times: StateTimes
    # Metres driven for it; None until it is over and they were added up.
    distance_m: float | None = None
    updated_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether it was delivered or cancelled."""
        return self.state in OVER


_decode_order = msgspec.json.Decoder(Order).decode


def decode_order_update(body: bytes) -> OrderUpdate:
    """The body of a PUT. Raises `InvalidUpdate`: 400 for what is no JSON, 422 names all faults."""
    faults = FaultList()
    members = faults.members(decode_json(body), OrderUpdate)
    for name in ("ready_at", "promised_at"):
        when = members.get(name)
        if isinstance(when, datetime) and not TIME_MIN <= when < TIME_MAX:
            faults.add(name, f"must be from {TIME_MIN.year} to {TIME_MAX.year}")
    faults.refuse()
    return OrderUpdate(**members)


def registered(order_id: str, update: OrderUpdate, now: datetime) -> Order:
    """A new order."""
    blank = Order(version=0, order_id=order_id, times=StateTimes(new=now), updated_at=now)
    return changed(blank, update, now) or msgspec.structs.replace(blank, version=1)


def changed(order: Order, update: OrderUpdate, now: datetime) -> Order | None:
    """The order with what `update` says; None when nothing changes.

    A driver's name makes a new order an assigned one; taking it away takes no state back.
    """
    said = {name: getattr(update, name) for name in FIELDS}
    for name in ("ready_at", "promised_at"):
        if isinstance(when := said[name], datetime):
            said[name] = when.astimezone(UTC)
    differing = {
        name: value
        for name, value in said.items()
        if value is not UNSET and value != getattr(order, name)
    }
    if not differing:
        return None
    after = msgspec.structs.replace(order, version=order.version + 1, updated_at=now, **differing)
    return after if after.driver_id is None else moved(after, DeliveryState.ASSIGNED, now) or after


def moved(order: Order, wanted: DeliveryState, at: datetime) -> Order | None:
    """The order in the state `wanted` since `at`, its version as before; None: it stays.

    A fix may be older than the last state: then both have one time, and no state lasts less than
    nothing.
    """
    state = advance(order.state, wanted)
    if state is None:
        return None
    before = [time for time in msgspec.structs.astuple(order.times) if time is not None]
    times = msgspec.structs.replace(order.times, **{state.value: max(at, *before)})
    return msgspec.structs.replace(order, state=state, times=times)


def encode_order(order: Order) -> bytes:
    """Its JSON. The version comes first: `book.lua` reads it there."""
    return orjson.dumps(msgspec.structs.asdict(order), default=_plain, option=orjson.OPT_UTC_Z)


def decode_order(value: bytes) -> Order:
    """An order's JSON. Raises `common.event.MALFORMED`."""
    return _decode_order(value)


def _plain(value: object) -> object:
    """A place, or times, for orjson."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    raise TypeError
