"""One active order as the role follows it: its way, and what was said of its arrival. Pure."""

from enum import Enum, auto
from typing import Final

from common.arrivals.arrival import Arrival, Rest
from common.arrivals.outlook import stops_of
from common.orders.order import Order
from common.orders.states import DeliveryState
from common.roads.way import Point, Way
from consumers.arrivals.course import OFF_M, Course
from consumers.arrivals.past_errors import rest_on_roads

# A way that is older is asked for again: traffic, or what was learned, may have changed.
ROUTE_AGAIN_S = 60.0
# How long a way is believed that no engine could renew.
ROUTE_KEPT_S = 180.0
# After an answer that was none: a city that is not on the graph costs one question so often.
ASK_AGAIN_S = 30.0
# Customers are told of an arrival that moved by so much, and not more often than that.
MOVED_S = 30.0
SAID_EVERY_S = 10.0
# Who asks or comes later finds one that is at most so old.
KEPT_EVERY_S = 12.0
# Nobody is told that a driver is near who was not seen for so long: it may have stopped anywhere.
SEEN_MAX_S = 60.0
# The drop-off alone is left.
ONE_STOP: Final = 1


class Say(Enum):
    """What becomes of an arrival that was computed."""

    NOTHING = auto()
    # Kept for who asks.
    KEEP = auto()
    # Kept, and sent to who watches.
    PUBLISH = auto()


class FollowedOrder:
    """Times are seconds of a clock that only goes forward."""

    __slots__ = ("_course", "_failed_s", "_kept_s", "_minute", "_routed_s", "_said", "_said_s",
                 "order", "raw", "stops", "told")  # fmt: skip

    def __init__(self, raw: bytes, order: Order) -> None:
        # As its book has it.
        self.raw = raw
        self.order = order
        self.stops = stops_of(order)
        # Whether it was told that the driver arrives soon.
        self.told = False
        self._course: Course | None = None
        self._routed_s = self._failed_s = float("-inf")
        self._said: Arrival | None = None
        self._said_s = self._kept_s = float("-inf")
        self._minute = -1

    def change(self, raw: bytes, order: Order) -> None:
        """The order has changed. Another driver, or another way, begins anew."""
        stops = stops_of(order)
        if order.driver_id != self.order.driver_id:
            self._said, self.told = None, False
        if stops != self.stops or order.driver_id != self.order.driver_id:
            self._course = None
            self._failed_s = float("-inf")
            self._kept_s = float("-inf")
        self.raw, self.order, self.stops = raw, order, stops

    def wants_route(self, here: Point, now_s: float) -> bool:
        """Go along the way to `here`; whether another one must be asked for."""
        course = self._course
        if course is not None and course.advance(here) > OFF_M:
            self._course = course = None
        is_old = course is None or now_s - self._routed_s >= ROUTE_AGAIN_S
        return is_old and now_s - self._failed_s >= ASK_AGAIN_S

    def take_route(self, way: Way | None, here: Point, now_s: float) -> None:
        """What was answered; a fallback's way is none, and the last one is kept for a while."""
        if way is not None and way.method == "roads":
            self._course, self._routed_s = Course(way), now_s
            self._failed_s = float("-inf")
            self._course.advance(here)
            return
        self._failed_s = now_s
        if now_s - self._routed_s >= ROUTE_KEPT_S:
            self._course = None

    def rest_on_course(self) -> Rest | None:
        """What is left of the way; None where none is known."""
        course = self._course
        return None if course is None else rest_on_roads(course.rest_s, course.rest_m)

    def say(self, arrival: Arrival, now_s: float) -> Say:
        """What becomes of it; the caller does that."""
        said = self._said
        moved_s = (
            MOVED_S if said is None else abs((arrival.arrival_at - said.arrival_at).total_seconds())
        )
        if moved_s >= MOVED_S and now_s - self._said_s >= SAID_EVERY_S:
            self._said, self._said_s, self._kept_s = arrival, now_s, now_s
            return Say.PUBLISH
        if now_s - self._kept_s >= KEPT_EVERY_S:
            self._kept_s = now_s
            return Say.KEEP
        return Say.NOTHING

    def is_logged(self, minute: int) -> bool:
        """Whether this minute has a line in the log; from now on it has."""
        known, self._minute = self._minute == minute, minute
        return known

    def arrives_soon(self, arrival: Arrival, before_s: float) -> bool:
        """Whether it is to be told now that the driver arrives within `before_s` (0: never): once.

        Not before the goods are picked up: the way to the customer has not begun. Who is at the
        door was told of by the fence.
        """
        under_way = len(self.stops) == ONE_STOP and self.order.state is not DeliveryState.ARRIVING
        is_near = arrival.remaining_s <= before_s and arrival.position_age_s <= SEEN_MAX_S
        if self.told or not before_s or not under_way or not is_near:
            return False
        self.told = True
        return True
