"""The places engine: what pages of fixes make happen. Pure: no clock, no server.

It holds what is known of the drivers of some shards. `apply` takes what was read of their streams,
`look` what time alone brings about; `take` hands out what is to be stored since it was called
last. State and outcome belong into one transaction: what comes of a fix is a function of the state
before it, so an engine that is loaded where another was stored goes on exactly there.

A rule that cannot take a fix changes nothing: it is left out of this rule alone (`left_out`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from common.event import LocationEvent, effective_time
from common.events.happening import Happening
from common.orders.ends import EndFix, EndVisit, step
from common.orders.order import Order, moved
from common.orders.states import DeliveryState
from consumers.places.rules.fence_index import FenceIndex, Inside
from consumers.places.rules.left_out import LeftOut, Rule
from consumers.places.rules.membership import NO_VISITS, Visit, Visits, end_closed, follow
from consumers.places.rules.presence import Presence, SeenAt

# Orders of one driver that are followed, those it got first; the others come in as these are over.
# A courier carries a few, and each is looked at for every fix of its.
ORDERS_MAX = 100
# Visits to the ends of a driver's orders, by order.
EndVisits = dict[str, EndVisit]
# A driver's orders that are not over.
OrdersOf = dict[str, tuple[Order, ...]]


class OrderMove(NamedTuple):
    """An order comes into a state, because of a fix."""

    order_id: str
    state: DeliveryState
    at: datetime
    recorded_at: datetime


class VisitChange(NamedTuple):
    """A driver's visit of a fence as it is now; None where it has ended."""

    driver_id: str
    geofence_id: str
    visit: Visit | None


class ShardChange(NamedTuple):
    """What changed of the drivers of one shard; None where a driver is forgotten."""

    seen: dict[str, SeenAt | None]
    ends: dict[str, EndVisits | None]


class Surroundings(NamedTuple):
    """What drivers are in the midst of, as of now: fences, and their orders, which moves change."""

    fences: FenceIndex
    orders: OrdersOf


@dataclass(slots=True)
class Outcome:
    """What is to be stored. `steps` are happenings and moves in the order they came about."""

    steps: list[Happening | OrderMove] = field(default_factory=list)
    visits: list[VisitChange] = field(default_factory=list)
    shards: dict[int, ShardChange] = field(default_factory=dict)


@dataclass(slots=True)
class ShardDrivers:
    """What is known of the drivers of one shard."""

    presence: Presence
    ends: dict[str, EndVisits] = field(default_factory=dict)
    changed_ends: dict[str, EndVisits | None] = field(default_factory=dict)


# A fix that counts, what it says of its driver's presence, and its shard.
Arrived = tuple[LocationEvent, Sequence[Happening], ShardDrivers]


class Engine:
    """The drivers of some shards. `radius_m`: of the circles around the ends of orders."""

    def __init__(
        self, shards: dict[int, ShardDrivers], visits: dict[str, Visits], *, radius_m: float
    ) -> None:
        self.shards = shards
        self.visits = visits
        self._radius_m = radius_m
        self._steps: list[Happening | OrderMove] = []
        self._visits: list[VisitChange] = []
        self._left_out: list[LeftOut] = []

    def apply(
        self,
        pages: Mapping[int, Sequence[LocationEvent]],
        around: Surroundings,
        found_at: datetime,
    ) -> int:
        """Work off fixes by shard, in the order of the streams. How many counted."""
        counted = self._arrived(pages, found_at)
        if not counted:
            return 0
        # Asked once for all: a page of fifty costs a tenth of fifty pages.
        inside = self._inside(around.fences, [fix for fix, _, _ in counted])
        visits, orders = self.visits, around.orders
        for (fix, said, shard), fences in zip(counted, inside, strict=True):
            if said:
                self._steps += said
            driver_id = fix.driver_id
            before = visits.get(driver_id, NO_VISITS)
            if fences is not None and (fences or before):
                try:
                    after, happenings = follow(before, fix, fences, around.fences, found_at)
                except Exception as e:  # of one fix: the others go on
                    self._leave_out(Rule.GEOFENCES, driver_id, e, fix)
                else:
                    self._steps += happenings
                    if after is not before:
                        self._changed(driver_id, before, after)
            if driver_id in orders or driver_id in shard.ends:
                try:
                    self._follow_orders(shard, fix, orders)
                except Exception as e:  # of one fix: the others go on
                    self._leave_out(Rule.ORDERS, driver_id, e, fix)
        return len(counted)

    def _arrived(
        self, pages: Mapping[int, Sequence[LocationEvent]], found_at: datetime
    ) -> list[Arrived]:
        """The fixes that count."""
        counted: list[Arrived] = []
        for number, fixes in pages.items():
            shard = self.shards[number]
            arrive = shard.presence.arrive
            for fix in fixes:
                try:
                    said = arrive(fix, found_at)
                except Exception as e:  # of one fix: the others go on
                    self._leave_out(Rule.PRESENCE, fix.driver_id, e, fix)
                    continue
                if said is not None:
                    counted.append((fix, said, shard))
        return counted

    def _inside(self, index: FenceIndex, fixes: Sequence[LocationEvent]) -> Sequence[Inside | None]:
        """For each fix the fences that hold it; None where that cannot be said."""
        try:
            return index.inside([fix.latitude for fix in fixes], [fix.longitude for fix in fixes])
        except Exception as e:  # of some of them: halved until each stands alone
            if len(fixes) == 1:
                self._leave_out(Rule.GEOFENCES, fixes[0].driver_id, e, fixes[0])
                return [None]
        middle = len(fixes) // 2
        return [*self._inside(index, fixes[:middle]), *self._inside(index, fixes[middle:])]

    def _leave_out(
        self, rule: Rule, driver_id: str, error: Exception, fix: LocationEvent | None = None
    ) -> None:
        if isinstance(error, MemoryError):
            # It says nothing of the fix.
            raise error
        self._left_out.append(LeftOut(rule, driver_id, fix, error))

    def look(
        self, clocks: Mapping[int, datetime], around: Surroundings, found_at: datetime
    ) -> None:
        """What time alone brings about: silence, and the end of fences.

        `clocks`: for each shard the time up to which all its fixes have been applied. A shard
        that is behind is left alone as far as it is.
        """
        for number, clock in clocks.items():
            self._steps += self.shards[number].presence.leave(clock, found_at)
        if not clocks:
            return
        clock = min(clocks.values())
        for driver_id, before in list(self.visits.items()):
            try:
                after, happenings = end_closed(driver_id, before, around.fences, clock)
            except Exception as e:  # of one driver: the others go on
                self._leave_out(Rule.GEOFENCES, driver_id, e)
                continue
            if after is not before:
                self._steps += happenings
                self._changed(driver_id, before, after)

    @property
    def has_steps(self) -> bool:
        """Whether something happened that was not taken yet."""
        return bool(self._steps)

    def take(self) -> Outcome:
        """What is to be stored, each only once."""
        outcome = Outcome(self._steps, self._visits)
        self._steps, self._visits = [], []
        for number, shard in self.shards.items():
            seen, shard.presence.changed = shard.presence.changed, {}
            ends, shard.changed_ends = shard.changed_ends, {}
            if seen or ends:
                outcome.shards[number] = ShardChange(seen, ends)
        return outcome

    def take_left_out(self) -> list[LeftOut]:
        """What a rule could not take, each only once."""
        left_out, self._left_out = self._left_out, []
        return left_out

    def _changed(self, driver_id: str, before: Visits, after: Visits) -> None:
        if after:
            self.visits[driver_id] = after
        else:
            self.visits.pop(driver_id, None)
        for geofence_id, visit in after.items():
            if before.get(geofence_id) is not visit:
                self._visits.append(VisitChange(driver_id, geofence_id, visit))
        self._visits += [
            VisitChange(driver_id, geofence_id, None) for geofence_id in before.keys() - after
        ]

    def _follow_orders(self, shard: ShardDrivers, fix: LocationEvent, orders: OrdersOf) -> None:
        """What a fix means for its driver's orders. Visits to ends of others are forgotten."""
        driver_id = fix.driver_id
        before = shard.ends.get(driver_id, {})
        at = effective_time(fix)[0]
        end_fix = EndFix(at, fix.latitude, fix.longitude, fix.accuracy or 0.0)
        after: EndVisits = {}
        left, moves = [], []
        mine = orders.get(driver_id, ())
        for order in mine[:ORDERS_MAX]:
            visit, state = step(order, before.get(order.order_id), end_fix, self._radius_m)
            if visit is not None:
                after[order.order_id] = visit
            if state is not None:
                moves.append(OrderMove(order.order_id, state, at, fix.recorded_at))
                order = moved(order, state, at) or order  # noqa: PLW2901
            left.append(order)
        # Nothing fails from here on.
        self._steps += moves
        if driver_id in orders:
            orders[driver_id] = (*left, *mine[ORDERS_MAX:])
        if after != before:
            shard.changed_ends[driver_id] = after or None
            if after:
                shard.ends[driver_id] = after
            else:
                del shard.ends[driver_id]
