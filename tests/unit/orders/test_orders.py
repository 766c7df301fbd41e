"""The pure rules of orders: states, changes, the two ends, distance, spans."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.orders.driven import DEAD_BAND_M, JUMP_KMH, DrivenDistance
from common.orders.ends import VISIT_MIN, EndFix, EndVisit, step
from common.orders.journey import JourneyReader, spans
from common.orders.order import (
    Order,
    OrderPlace,
    changed,
    decode_order,
    decode_order_update,
    encode_order,
    moved,
    registered,
)
from common.orders.row import COLUMNS, order_of, row_of
from common.orders.states import OVER, WAY, DeliveryState, advance
from consumers.insight.fold import rules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
S = DeliveryState
PICKUP, DROPOFF = OrderPlace(53.40, -2.90), OrderPlace(53.42, -2.90)
RADIUS_M = 60.0
M = 1 / 111_195.0


def order(**fields: Any) -> Order:
    return registered("o", decode_order_update(orjson.dumps(fields)), NOW)


PLACES = {
    "pickup": {"latitude": PICKUP.latitude, "longitude": PICKUP.longitude},
    "dropoff": {"latitude": DROPOFF.latitude, "longitude": DROPOFF.longitude},
}


def rank(state: DeliveryState) -> int:
    return len(WAY) if state is S.CANCELLED else WAY.index(state)


@given(st.lists(st.sampled_from(S)))
def test_states_never_go_back_whatever_is_wanted(wishes: list[DeliveryState]) -> None:
    now = order()
    for n, wanted in enumerate(wishes):
        after = moved(now, wanted, NOW + timedelta(seconds=n))
        if after is None:
            assert now.state in OVER or rank(wanted) <= rank(now.state)
            continue
        assert now.state not in OVER
        assert rank(after.state) > rank(now.state)
        assert getattr(after.times, after.state) == NOW + timedelta(seconds=n)
        now = after
    reached = [getattr(now.times, state) for state in WAY]
    known = [at for at in reached if at is not None]
    assert known == sorted(known)


CAUSES = st.lists(
    st.one_of(
        st.sampled_from(S),
        st.sampled_from([{"driver_id": "a"}, {"driver_id": None}, {"pickup": None}, PLACES]),
        # Where the driver is: metres north of the pick-up, the drop-off being 2,224 m off.
        st.integers(-100, 2400),
    ),
    max_size=40,
)


@given(CAUSES)
def test_states_never_go_back_in_any_order_of_causes(causes: list[Any]) -> None:
    """The backend's wishes, its changes, and the fixes of a driver who goes anywhere."""
    now, visit = order(**PLACES), None
    for n, cause in enumerate(causes):
        before, at = now, NOW + timedelta(seconds=20 * n)
        if isinstance(cause, DeliveryState):
            now = moved(now, cause, at) or now
        elif isinstance(cause, dict):
            if not now.is_over:
                now = changed(now, decode_order_update(orjson.dumps(cause)), at) or now
        else:
            fix = EndFix(at, PICKUP.latitude + cause * M, PICKUP.longitude)
            visit, wanted = step(now, visit, fix, RADIUS_M)
            now = now if wanted is None else moved(now, wanted, at) or now
        assert rank(now.state) >= rank(before.state)
        assert before.state not in OVER or now.state is before.state


def drive(now: Order, *legs: tuple[int, int]) -> list[str]:
    """States that a driver goes through who is so many metres north of the pick-up, from such a
    second on; a fix every five seconds.
    """
    visit: EndVisit | None = None
    seen = []
    for (begin, metres), (end, _) in zip(legs, [*legs[1:], (legs[-1][0] + 60, 0)], strict=True):
        for second in range(begin, end, 5):
            at = NOW + timedelta(seconds=second)
            fix = EndFix(at, PICKUP.latitude + metres * M, PICKUP.longitude)
            visit, wanted = step(now, visit, fix, RADIUS_M)
            after = wanted and moved(now, wanted, at)
            if after:
                now = after
                seen.append(now.state.value)
    return seen


DOOR = round(0.02 / M)


@pytest.mark.parametrize(
    ("legs", "states"),
    [
        ([(0, 500), (60, 20), (200, 300), (400, DOOR), (600, DOOR + 200)],
         ["at_pickup", "picked_up", "arriving", "delivered"]),
        # Passing by is no visit; nor is standing at the edge, whatever the fixes wander.
        ([(0, 20), (20, 500)], ["at_pickup"]),
        ([(0, 20), (60, 75), (120, 20), (180, 75)], ["at_pickup"]),
        # Who waits near the customer before it went for the goods has not arrived.
        ([(0, DOOR), (200, DOOR + 500)], []),
        # A short stop at the pick-up, and then at the door all the same.
        ([(0, 20), (20, 500), (60, DOOR), (200, DOOR + 300)],
         ["at_pickup", "arriving", "delivered"]),
        # Once round the block at the end.
        ([(0, 20), (60, 500), (90, DOOR), (105, DOOR + 300), (120, DOOR), (300, DOOR + 300)],
         ["at_pickup", "picked_up", "arriving", "delivered"]),
    ],
)  # fmt: skip
def test_the_ends_make_states(legs: list[tuple[int, int]], states: list[str]) -> None:
    assert drive(order(driver_id="a", **PLACES), *legs) == states


def test_a_wide_accuracy_is_not_outside_yet() -> None:
    now = moved(order(driver_id="a", **PLACES), S.AT_PICKUP, NOW)
    assert now is not None
    visit: EndVisit | None = EndVisit("pickup", NOW - VISIT_MIN)
    for n in range(3):
        at = NOW + timedelta(seconds=n)
        fix = EndFix(at, PICKUP.latitude + 200 * M, PICKUP.longitude, accuracy_m=150)
        visit, wanted = step(now, visit, fix, RADIUS_M)
        assert (visit is not None, wanted) == (True, None)


def test_a_state_begins_no_sooner_than_the_one_before() -> None:
    now = moved(order(driver_id="a"), S.PICKED_UP, NOW - timedelta(seconds=5))
    assert now is not None
    assert now.times.picked_up == now.times.assigned == NOW


@pytest.mark.parametrize("state", S)
def test_only_cancelled_may_jump(state: DeliveryState) -> None:
    assert advance(state, S.CANCELLED) is (None if state in OVER else S.CANCELLED)
    assert advance(state, state) is None


def test_an_order_comes_back_from_its_json_and_its_row() -> None:
    whole = order(driver_id="a", vehicle="foot", promised_at="2026-03-01T10:00:00+02:00", **PLACES)
    assert encode_order(whole).startswith(b'{"version":1,"order_id":"o","driver_id":"a",')
    assert decode_order(encode_order(whole)) == whole
    for one in (whole, order()):
        row = dict(zip(COLUMNS, row_of(one), strict=True))
        assert order_of(row) == one


def test_a_change_counts_up_and_no_change_does_not() -> None:
    first = order(driver_id="a")
    assert (first.version, first.state) == (1, S.ASSIGNED)
    assert changed(first, decode_order_update(b'{"driver_id":"a"}'), NOW) is None
    assert changed(first, decode_order_update(b"{}"), NOW) is None
    after = changed(first, decode_order_update(b'{"driver_id":"b"}'), NOW)
    assert after is not None
    assert (after.version, after.driver_id, after.times) == (2, "b", first.times)


def test_distance_follows_the_rules_of_trips() -> None:
    assert (DEAD_BAND_M, JUMP_KMH) == (rules.DEAD_BAND_M, rules.JUMP_KMH)
    driven = DrivenDistance(900)

    def go(second: int, metres: float, accuracy: float | None = None) -> float:
        at = NOW + timedelta(seconds=second)
        driven.add(at, 53.4 + metres * M, -2.9, accuracy)
        return round(driven.metres, 1)

    assert go(0, 0) == 0
    # Noise; what it adds up to; less than the accuracy; a jump; on from there; across a gap.
    assert [go(1, 6), go(2, 12), go(3, 40, 50.0)] == [0, pytest.approx(12, 1e-3), 12]
    assert [go(4, 5000), go(5, 5020), go(2000, 5040), go(2001, 5060)] == [12, 32, 32, 52]
    assert driven.fixes == 8


def test_each_driver_has_its_time() -> None:
    ended = moved(order(driver_id="a"), S.DELIVERED, NOW + timedelta(hours=3))
    assert ended is not None
    rows = [
        {"since": NOW, "driver_id": "a"},
        {"since": NOW + timedelta(hours=1), "driver_id": None},
        {"since": NOW + timedelta(hours=2), "driver_id": "b"},
        {"since": NOW + timedelta(hours=4), "driver_id": "c"},
    ]
    found = spans(ended, rows, NOW + timedelta(hours=9))
    assert [(s.driver_id, s.since.hour, s.until.hour) for s in found] == [
        ("a", 12, 13), ("b", 14, 15),
    ]  # fmt: skip
    assert found[0].earliest < NOW
    assert found[1].earliest == found[1].since


def test_a_customer_s_journey_has_only_fixes_that_name_the_order() -> None:
    """The fallback to all of a driver's fixes shows where else it was."""

    async def fetch(sql: str, *args: object) -> list[list[bool]]:
        return [[False]]

    [span] = spans(order(driver_id="a"), [{"since": NOW, "driver_id": "a"}], NOW + VISIT_MIN)
    reader = JourneyReader(fetch, "o", ("recorded_at",))
    assert asyncio.run(reader.first(span)) == (NOW, None)
    assert asyncio.run(reader.first(span, named_only=True)) == (span.earliest, "o")
