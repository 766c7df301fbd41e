"""A fix that a rule cannot take is left out of that rule, and changes nothing for anybody else."""

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.event import decode_event
from common.orders.order import Order, OrderPlace, StateTimes
from common.orders.states import DeliveryState
from consumers.places.rules import engine as engines
from consumers.places.rules.engine import Engine, ShardDrivers, Surroundings
from consumers.places.rules.left_out import SAID_A_MINUTE, LeftOut, LeftOutCounts, Rule
from consumers.places.rules.membership import follow
from consumers.places.rules.presence import Presence
from consumers.stream.entry import PlacedEvent
from tests.roles.places import START, circles, walks
from tests.unit.places.test_places_state import index_of

TTL = timedelta(days=1)
FENCES = circles(15, 3)


class Poisoned(Exception):
    """What a rule raises at a fix of its."""


def order(number):
    """Around the middle of the walks, so that it is entered and left."""
    return Order(
        version=1, order_id=f"order-{number}", driver_id=f"driver-{number % 4}",
        pickup=OrderPlace(53.4, -2.9), dropoff=OrderPlace(53.401, -2.901),
        state=DeliveryState.ASSIGNED, times=StateTimes(new=START, assigned=START),
        updated_at=START,
    )  # fmt: skip


class Rules:
    """The rules, with fixes that each of them cannot take: it raises, or passes them over."""

    def __init__(self, poison, *, raises):
        self._poison, self._raises = poison, raises

    def bad(self, rule, *fixes):
        found = any(self._key(fix) in self._poison[rule] for fix in fixes)
        if found and self._raises:
            raise Poisoned
        return found

    @staticmethod
    def _key(fix):
        return fix.latitude, fix.longitude

    def presence(self):
        outer = self

        class Poor(Presence):
            def arrive(self, fix, found_at):
                return None if outer.bad(Rule.PRESENCE, fix) else super().arrive(fix, found_at)

        return Poor(TTL)

    def index(self):
        outer, index = self, index_of(FENCES)

        class Poor:
            get, distance_m = index.get, index.distance_m

            def inside(self, latitudes, longitudes):
                found = index.inside(latitudes, longitudes)
                for n, key in enumerate(zip(latitudes, longitudes, strict=True)):
                    if key in outer._poison["inside"]:
                        if outer._raises:
                            raise Poisoned
                        found[n] = None
                return found

        return Poor()

    def follow(self, visits, fix, *rest):
        return (visits, []) if self.bad(Rule.GEOFENCES, fix) else follow(visits, fix, *rest)

    def engine(self):
        outer = self

        class Poor(Engine):
            def _follow_orders(self, shard, fix, orders):
                if not outer.bad(Rule.ORDERS, fix):
                    super()._follow_orders(shard, fix, orders)

        return Poor({0: ShardDrivers(self.presence())}, {}, radius_m=60.0)


def run(rules, pages, monkeypatch):
    monkeypatch.setattr(engines, "follow", rules.follow)
    engine = rules.engine()
    orders = {}
    for number in range(6):
        orders.setdefault(f"driver-{number % 4}", []).append(order(number))
    around = Surroundings(rules.index(), {k: tuple(v) for k, v in orders.items()})
    outcomes = []
    for page in pages:
        engine.apply({0: page}, around, START)
        outcomes.append(engine.take())
    return outcomes, engine


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 9))
def test_all_else_is_as_if_the_rule_had_passed_the_fix_over(rng, seed):
    """Each rule fails for some fixes; the outcome is that of rules that pass those over."""
    fixes = [decode_event(fix.payload) for fix in walks(4, 40, seed)]
    poison = {
        rule: {(f.latitude, f.longitude) for f in rng.sample(fixes, rng.randint(0, 12))}
        for rule in (Rule.PRESENCE, "inside", Rule.GEOFENCES, Rule.ORDERS)
    }
    pages, left = [], fixes
    while left:
        size = rng.choice((1, 7, 60))
        pages.append(left[:size])
        left = left[size:]
    with pytest.MonkeyPatch.context() as patch:
        raising, engine = run(Rules(poison, raises=True), pages, patch)
        passing, other = run(Rules(poison, raises=False), pages, patch)
    assert raising == passing
    assert engine.visits == other.visits
    assert engine.shards[0].presence.newest == other.shards[0].presence.newest
    # Whoever was left out was one of those, and no other.
    assert not other.take_left_out()
    for rule, driver_id, fix, error in engine.take_left_out():
        assert isinstance(error, Poisoned)
        assert fix.driver_id == driver_id
        named = poison[rule] | (poison["inside"] if rule is Rule.GEOFENCES else set())
        assert (fix.latitude, fix.longitude) in named


def test_a_fence_that_cannot_be_ended_for_one_driver_is_for_the_others(monkeypatch):
    """`look` goes through all drivers that are in a fence."""
    fixes = [decode_event(fix.payload) for fix in walks(6, 30, 5)]
    engine = Engine({0: ShardDrivers(Presence(TTL))}, {}, radius_m=60.0)
    engine.apply({0: fixes}, Surroundings(index_of(FENCES), {}), START)
    engine.take()
    drivers = sorted(engine.visits)
    assert len(drivers) > 1
    ended = engines.end_closed

    def end_closed(driver_id, *rest):
        if driver_id == drivers[0]:
            raise Poisoned
        return ended(driver_id, *rest)

    monkeypatch.setattr(engines, "end_closed", end_closed)
    engine.look({0: START}, Surroundings(index_of([]), {}), START)
    assert sorted(engine.visits) == drivers[:1]
    [(rule, driver_id, fix, _)] = engine.take_left_out()
    assert (rule, driver_id, fix) == (Rule.GEOFENCES, drivers[0], None)


def test_no_memory_says_nothing_of_a_fix(monkeypatch):
    def follow_short(*_):
        raise MemoryError

    monkeypatch.setattr(engines, "follow", follow_short)
    fixes = [decode_event(fix.payload) for fix in walks(4, 40, 1)]
    engine = Engine({0: ShardDrivers(Presence(TTL))}, {}, radius_m=60.0)
    with pytest.raises(MemoryError):
        engine.apply({0: fixes}, Surroundings(index_of(FENCES), {}), START)


def test_it_is_said_with_its_position_and_counted_and_not_without_end(monkeypatch):
    said = []
    monkeypatch.setattr(
        "consumers.places.rules.left_out._log.error", lambda action, **facts: said.append(facts)
    )
    fixes = [decode_event(fix.payload) for fix in walks(1, 30, 1)]
    placed = [PlacedEvent(b"7-0", n, fix, b"") for n, fix in enumerate(fixes)]
    counts = LeftOutCounts()
    assert dict(counts.counts) == dict.fromkeys(Rule, 0)
    some = random.Random(1).sample(fixes, 25)
    counts.note([LeftOut(Rule.ORDERS, fix.driver_id, fix, Poisoned("why")) for fix in some], placed)
    assert counts.counts[Rule.ORDERS] == 25
    assert len(said) == SAID_A_MINUTE
    assert said[0]["id"] == f"7-0/{fixes.index(some[0])}"
    assert said[0]["error"] == "Poisoned: why"
