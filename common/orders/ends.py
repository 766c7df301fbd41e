"""The automatic states: what a driver's fixes say about the two ends of an order. Pure.

A circle stands around pick-up and drop-off. The first fix inside begins a visit: `at_pickup`, or
`arriving`. The visit ends with two fixes in a row beyond the edge by a margin, their accuracy
circles clear of it, as with a geofence. A visit that lasted ends in `picked_up`, or `delivered`.
"""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from common.geo.sphere import distance_m
from common.orders.order import Order, OrderPlace
from common.orders.states import DeliveryState, advance

# A circle of 60 m is passed in 29 s at 15 km/h. Who stays longer has stopped there.
VISIT_MIN: Final = timedelta(seconds=30)
# How far beyond the edge is outside: the same as for geofences.
MARGIN_M, MARGIN_SHARE = 20.0, 0.2
# Fixes in a row that must be outside.
OUTSIDE_FIXES = 2

End = Literal["pickup", "dropoff"]
# What a visit to an end makes of the order when it begins, and when it has ended.
_BEGUN: Final = {"pickup": DeliveryState.AT_PICKUP, "dropoff": DeliveryState.ARRIVING}
_ENDED: Final = {"pickup": DeliveryState.PICKED_UP, "dropoff": DeliveryState.DELIVERED}


class EndVisit(msgspec.Struct, frozen=True, gc=False):
    """The driver is at an end of the order: since when, and fixes in a row that were outside."""

    end: End
    since: datetime
    outside: int = 0


class EndFix(NamedTuple):
    """A fix of the order's driver: effective time, degrees, metres (0: not known)."""

    at: datetime
    latitude: float
    longitude: float
    accuracy_m: float = 0.0


def step(
    order: Order, visit: EndVisit | None, fix: EndFix, radius_m: float
) -> tuple[EndVisit | None, DeliveryState | None]:
    """The visit after the driver's next fix, and the state that the order moves to, if any.

    `fix` is newer than all before it. The caller moves the order, and hands in the moved one next.
    """
    if order.is_over:
        return None, None
    if visit is not None:
        place = order.pickup if visit.end == "pickup" else order.dropoff
        if place is None:
            return None, None
        if not _is_clear(place, fix, radius_m):
            return msgspec.structs.replace(visit, outside=0), None
        if visit.outside + 1 < OUTSIDE_FIXES:
            return msgspec.structs.replace(visit, outside=visit.outside + 1), None
        if fix.at - visit.since >= VISIT_MIN:
            return None, advance(order.state, _ENDED[visit.end])
    end = _entered(order, fix, radius_m)
    if end is None:
        return None, None
    return EndVisit(end, fix.at), advance(order.state, _BEGUN[end])


def _entered(order: Order, fix: EndFix, radius_m: float) -> End | None:
    """The end that the fix lies in, and that counts: the drop-off after the pick-up, if there is
    one. A courier who waits near the customer before it went for the goods has not arrived.
    """
    before = advance(order.state, DeliveryState.PICKED_UP) is not None
    if before and order.pickup is not None and _distance(order.pickup, fix) <= radius_m:
        return "pickup"
    been = order.pickup is None or advance(order.state, DeliveryState.AT_PICKUP) is None
    if been and order.dropoff is not None and _distance(order.dropoff, fix) <= radius_m:
        return "dropoff"
    return None


def _is_clear(place: OrderPlace, fix: EndFix, radius_m: float) -> bool:
    beyond = _distance(place, fix) - radius_m - fix.accuracy_m
    return beyond > max(MARGIN_M, MARGIN_SHARE * radius_m)


def _distance(place: OrderPlace, fix: EndFix) -> float:
    return distance_m(place.latitude, place.longitude, fix.latitude, fix.longitude)
