"""Orders as the API shows them. Pure."""

from typing import Any

import msgspec
import orjson

from common.arrivals.arrival import Arrival, facts_of_arrival
from common.frame import is_of_driver
from common.orders.order import Order
from ingest.resources.route.page import dump

Shown = dict[str, Any]


def facts_of(order: Order) -> Shown:
    """What is known of an order itself."""
    return {
        "order_id": order.order_id,
        "driver_id": order.driver_id,
        "vehicle": order.vehicle,
        "pickup": order.pickup and msgspec.structs.asdict(order.pickup),
        "dropoff": order.dropoff and msgspec.structs.asdict(order.dropoff),
        "ready_at": order.ready_at,
        "promised_at": order.promised_at,
        "state": order.state.value,
        "times": msgspec.structs.asdict(order.times),
        "distance_m": None if order.distance_m is None else round(order.distance_m, 3),
        "updated_at": order.updated_at,
    }


def shown(order: Order, event: bytes | None = None, arrival: Arrival | None = None) -> bytes:
    """An order with its position, an event's bytes, and its arrival, where they are known."""
    position = None if event is None else orjson.Fragment(event)
    expected = None if arrival is None else facts_of_arrival(arrival)
    return dump({**facts_of(order), "position": position, "arrival": expected})


def position_of(order: Order, event: bytes | None) -> bytes | None:
    """`event` if it may be shown as the order's: it is under way, and it is its driver's."""
    if event is None or order.is_over:
        return None
    driver_id = order.driver_id
    return event if driver_id is None or is_of_driver(event, driver_id) else None
