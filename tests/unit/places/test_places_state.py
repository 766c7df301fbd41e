"""The engine's state: the same however pages are cut and wherever it was stored and loaded."""

import random
from datetime import datetime, timedelta

import pytest

from common.event import decode_event
from common.events.happening import Happening
from common.fences.fence import Fence
from common.geo.shape import Shape
from common.orders.order import Order, OrderPlace, StateTimes
from common.orders.states import DeliveryState
from consumers.places.rules.engine import Engine, OrderMove, ShardDrivers, Surroundings
from consumers.places.rules.fence_index import FenceIndex
from consumers.places.rules.presence import Presence
from consumers.places.snapshot import NOTHING, encode_change, encode_state, load_state
from tests.roles.places import START, by_driver, circles, oracle, walks

TTL = timedelta(days=1)


def index_of(fences):
    return FenceIndex(
        Fence(
            geofence_id=fence.name,
            name=fence.name,
            shape=Shape(line=((fence.longitude, fence.latitude),), reach_m=fence.radius_m),
            dwell_s=fence.dwell_s,
        )
        for fence in fences
    )


def new_engine() -> Engine:
    return Engine({0: ShardDrivers(Presence(TTL))}, {}, radius_m=60.0)


def told(steps):
    return [
        (e.type, e.driver_id, e.geofence_id, e.recorded_at)
        for e in steps
        if isinstance(e, Happening)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_pages_loads_and_snapshots_change_nothing(seed):
    rng = random.Random(seed)
    fences, fixes = circles(25, seed), walks(6, 100, seed)
    around = Surroundings(index_of(fences), {})
    engine, rows, found = new_engine(), [NOTHING], []
    left = list(fixes)
    while left:
        size = rng.choice((1, 3, 20, 60))
        page, left = [decode_event(fix.payload) for fix in left[:size]], left[size:]
        engine.apply({0: page}, around, START)
        outcome = engine.take()
        found += told(outcome.steps)
        rows += [encode_change(change) for change in outcome.shards.values()]
        if rng.random() < 0.2:
            rows = [encode_state(engine.shards[0])]
        if rng.random() < 0.3:
            # Another process: visits are rows of their own, and come back as they were.
            state = load_state(rows, TTL)
            assert state.presence.newest == engine.shards[0].presence.newest
            engine = Engine({0: state}, dict(engine.visits), radius_m=60.0)
    expected = oracle(fixes, fences)
    assert len(found) == len(set(found))
    assert by_driver(found) == by_driver(expected)


def order(order_id: str, driver: str, state=DeliveryState.ASSIGNED) -> Order:
    return Order(
        version=1,
        order_id=order_id,
        driver_id=driver,
        pickup=OrderPlace(53.40, -2.90),
        dropoff=OrderPlace(53.42, -2.90),
        state=state,
        times=StateTimes(new=START),
        updated_at=START,
    )


def drive(latitudes, driver="d"):
    """A fix every twenty seconds."""
    base = decode_event(walks(1, 1)[0].payload)
    for n, latitude in enumerate(latitudes):
        when = START + timedelta(seconds=20 * n)
        fields = {name: getattr(base, name) for name in base.__struct_fields__}
        fields |= {
            "driver_id": driver, "latitude": latitude, "longitude": -2.9, "accuracy": 5.0,
            "recorded_at": when, "received_at": when,
        }  # fmt: skip
        yield type(base)(**fields)


def test_an_order_moves_with_its_driver_alone_and_survives_a_restart():
    orders = {"d": (order("o", "d"),), "e": (order("p", "e"),)}
    around = Surroundings(FenceIndex(), orders)
    way = [53.41, 53.40, 53.40, 53.40, 53.41, 53.41, 53.42, 53.42, 53.42, 53.43, 53.43]
    engine, rows, moves = new_engine(), [NOTHING], []
    for fix in drive(way):
        engine.apply({0: [fix]}, around, START)
        outcome = engine.take()
        moves += [s for s in outcome.steps if isinstance(s, OrderMove)]
        rows += [encode_change(change) for change in outcome.shards.values()]
        engine = Engine({0: load_state(rows, TTL)}, {}, radius_m=60.0)
    assert [move.order_id for move in moves] == ["o"] * 4
    assert [move.state.value for move in moves] == [
        "at_pickup", "picked_up", "arriving", "delivered",
    ]  # fmt: skip
    assert [(move.at - START).total_seconds() for move in moves] == [20, 100, 120, 200]
    assert engine.shards[0].ends == {}


def test_what_is_known_of_an_order_goes_with_its_driver():
    orders = {"d": (order("o", "d"),)}
    engine = new_engine()
    first, second = drive([53.40, 53.40])
    engine.apply({0: [first]}, Surroundings(FenceIndex(), orders), START)
    assert engine.shards[0].ends.keys() == {"d"}
    engine.take()
    # It is somebody else's now.
    engine.apply({0: [second]}, Surroundings(FenceIndex(), {}), START)
    assert engine.shards[0].ends == {}
    assert engine.take().shards[0].ends == {"d": None}


def test_a_fence_that_is_gone_ends_its_visits_when_all_has_been_read():
    fences = circles(1)
    fence = fences[0]
    inside = next(iter(drive([fence.latitude])))
    inside.longitude = fence.longitude
    engine = new_engine()
    engine.apply({0: [inside]}, Surroundings(index_of(fences), {}), START)
    assert [row[0] for row in told(engine.take().steps)] == ["driver.online", "geofence.enter"]
    now: datetime = START + timedelta(seconds=5)
    engine.look({0: now}, Surroundings(FenceIndex(), {}), now)
    outcome = engine.take()
    assert [row[0] for row in told(outcome.steps)] == ["geofence.exit"]
    assert [change.visit for change in outcome.visits] == [None]
    assert engine.visits == {}
