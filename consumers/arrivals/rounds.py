"""One look after the other at the active orders: a few books at a time, all of them in a turn.

So the work is spread evenly, and live tracking on the same cores feels no bursts of it.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from common.arrivals.arrival import Arrival, Rest, arrival_of
from common.arrivals.outlook import rest_by_pace
from common.contract import Vehicle
from common.keys import ORDER_BUCKETS
from common.log import Repeated, get
from common.roads.pace import Pace
from common.roads.pace_store import PaceStore
from common.roads.travel import Travel
from consumers.arrivals.active_orders import ActiveOrders
from consumers.arrivals.followed import FollowedOrder, Say
from consumers.arrivals.past_errors import PastErrors
from consumers.arrivals.places_now import DriverPlace, DriverPlaces

# Between two looks, and books of a look: a turn through all 64 takes four seconds.
LOOK_EVERY_S = 0.25
BUCKETS_AT_ONCE = 4
# Ways that are asked for in one look; the orders of others are looked at again in the next turn.
ROUTES_AT_ONCE = 32
# Orders that are worked out before others on this loop have their turn: 2 ms.
ORDERS_AT_ONCE = 50

PARTS = tuple(
    range(first, min(first + BUCKETS_AT_ONCE, ORDER_BUCKETS))
    for first in range(0, ORDER_BUCKETS, BUCKETS_AT_ONCE)
)


class Spoken(NamedTuple):
    """An arrival that was computed, what becomes of it, and what it was before its correction."""

    followed: FollowedOrder
    arrival: Arrival
    say: Say
    model: Rest
    place: DriverPlace


class Listener(Protocol):
    """Who does with arrivals what becomes of them."""

    async def take(self, spoken: Sequence[Spoken]) -> None:
        """Those of one look."""


class ArrivalRounds:
    """Not for concurrent use. `errors` may be replaced at any time."""

    def __init__(
        self,
        orders: ActiveOrders,
        places: DriverPlaces,
        travel: Travel,
        paces: PaceStore,
        listener: Listener,
        *,
        ttl: timedelta,
    ) -> None:
        self.orders = orders
        self._places = places
        self._travel = travel
        self._paces = paces
        self._listener = listener
        self._ttl = ttl
        self.errors = PastErrors()
        self._part = 0
        self._trouble = Repeated(get("arrivals"), "arrivals.away")

    async def look(self) -> None:
        """Look at the next books. Raises `Overloaded`, `hiredis.ReplyError`."""
        part = PARTS[self._part]
        # First of all: a book that cannot be read holds up no others.
        self._part = (self._part + 1) % len(PARTS)
        placed = await self._places.look(await self.orders.look(part))
        if self._places.away or self.orders.away:
            self._trouble.failed(servers=self._places.away, orders=self.orders.away)
        elif self._part == 0:
            # Whom nobody asked for in a turn in which all was there.
            self._places.forget_others()
            self._trouble.healed()
        now = datetime.now(UTC)
        fresh = [(f, p) for f, p in placed if p.at is not None and now - p.at <= self._ttl]
        waiting = await self._find_ways(fresh)
        spoken: list[Spoken] = []
        for index, (f, place) in enumerate(fresh):
            if f not in waiting:
                spoken.append(await self._speak(f, place, now))
            if index % ORDERS_AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._listener.take(spoken)

    async def _find_ways(
        self, fresh: Sequence[tuple[FollowedOrder, DriverPlace]]
    ) -> set[FollowedOrder]:
        """Ask for the ways that are wanted; the orders that have none and must wait for one."""
        now_s = asyncio.get_running_loop().time()
        wanted = [
            (f, place)
            for f, place in fresh
            if self._travel.has_roads(vehicle_of(f)) and f.wants_route(place.here, now_s)
        ]
        asked, others = wanted[:ROUTES_AT_ONCE], wanted[ROUTES_AT_ONCE:]
        ways = await asyncio.gather(
            *(self._travel.route((p.here, *f.stops), vehicle_of(f)) for f, p in asked)
        )
        for (f, place), way in zip(asked, ways, strict=True):
            f.take_route(way, place.here, now_s)
        return {f for f, _ in others if f.rest_on_course() is None}

    async def _speak(self, f: FollowedOrder, place: DriverPlace, now: datetime) -> Spoken:
        model = f.rest_on_course()
        if model is None:
            pace: Pace = await self._paces.pace(f.order.vehicle)
            model = rest_by_pace(place.here, f.stops, pace, place.movement.recent_mps)
        rest, at = self.errors.correct(model), place.at or now
        arrival = arrival_of(f.order.order_id, place.driver_id, rest, at, now)
        say = f.say(arrival, asyncio.get_running_loop().time())
        return Spoken(f, arrival, say, model, place)


def vehicle_of(followed: FollowedOrder) -> Vehicle:
    """How its driver travels, for the engine; who does not say so drives."""
    return followed.order.vehicle or "car"
