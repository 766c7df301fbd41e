"""What is left of an order's way: where it goes, and how long that takes without roads. Pure."""

from itertools import pairwise

from common.arrivals.arrival import Rest
from common.geo.sphere import distance_m
from common.orders.order import Order
from common.orders.states import DeliveryState, advance
from common.roads.pace import Pace
from common.roads.way import Point


def stops_of(order: Order) -> tuple[Point, ...]:
    """Where its driver goes yet: the pick-up until it is done, and the drop-off; () if unknown."""
    if order.dropoff is None or order.is_over:
        return ()
    end = (order.dropoff.latitude, order.dropoff.longitude)
    before = advance(order.state, DeliveryState.PICKED_UP) is not None
    if order.pickup is None or not before:
        return (end,)
    return ((order.pickup.latitude, order.pickup.longitude), end)


def rest_by_pace(
    here: Point, stops: tuple[Point, ...], pace: Pace, recent_mps: float | None = None
) -> Rest:
    """What is left from `here` through `stops`, by the straight line between them.

    The driver's own speed says something of the way to the first stop only: at it he waits.
    """
    legs = list(pairwise((here, *stops)))
    metres = [distance_m(*a, *b) for a, b in legs]
    estimates = [
        pace.estimate(line, None if index else recent_mps) for index, line in enumerate(metres)
    ]
    return Rest(
        sum(e.seconds for e in estimates),
        sum(e.low_s for e in estimates),
        sum(e.high_s for e in estimates),
        pace.way_m(sum(metres)),
        pace.method,
    )
