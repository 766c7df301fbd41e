"""Orders as rows of the table `orders`. Pure; `common.orders.store` reads and writes them."""

from typing import Any

from common.keys import order_bucket
from common.orders.order import Order, OrderPlace, StateTimes
from common.orders.states import DeliveryState

# A row as asyncpg gives it: values by column name.
Row = Any
_STATES = StateTimes.__struct_fields__
# Every column of an order; the first one names it.
COLUMNS: tuple[str, ...] = (
    "order_id",
    "bucket",
    "driver_id",
    "vehicle",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "ready_at",
    "promised_at",
    "state",
    *(f"{state}_at" for state in _STATES),
    "distance_m",
    "updated_at",
    "version",
)


def row_of(order: Order) -> tuple[object, ...]:
    """The values of COLUMNS."""
    pickup, dropoff = order.pickup, order.dropoff
    return (
        order.order_id,
        order_bucket(order.order_id),
        order.driver_id,
        order.vehicle,
        pickup and pickup.latitude,
        pickup and pickup.longitude,
        dropoff and dropoff.latitude,
        dropoff and dropoff.longitude,
        order.ready_at,
        order.promised_at,
        order.state.value,
        *(getattr(order.times, state) for state in _STATES),
        order.distance_m,
        order.updated_at,
        order.version,
    )


def order_of(row: Row) -> Order:
    """A row as an order."""
    return Order(
        version=row["version"],
        order_id=row["order_id"],
        driver_id=row["driver_id"],
        vehicle=row["vehicle"],
        pickup=_place(row["pickup_latitude"], row["pickup_longitude"]),
        dropoff=_place(row["dropoff_latitude"], row["dropoff_longitude"]),
        ready_at=row["ready_at"],
        promised_at=row["promised_at"],
        state=DeliveryState(row["state"]),
        times=StateTimes(*(row[f"{state}_at"] for state in _STATES)),
        distance_m=row["distance_m"],
        updated_at=row["updated_at"],
    )


def _place(latitude: float | None, longitude: float | None) -> OrderPlace | None:
    return None if latitude is None or longitude is None else OrderPlace(latitude, longitude)
