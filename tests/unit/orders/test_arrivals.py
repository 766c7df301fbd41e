"""The rules of arrivals: along the way, what is said and when, and what past errors teach."""

from datetime import UTC, datetime, timedelta
from math import log

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.arrivals.arrival import (
    Arrival,
    Rest,
    aged,
    arrival_of,
    decode_arrival,
    encode_arrival,
)
from common.arrivals.outlook import rest_by_pace, stops_of
from common.frame import computed_at, is_arrival_of
from common.orders.order import Order, OrderPlace, StateTimes, encode_order, moved
from common.orders.states import DeliveryState
from common.roads.pace import Pace
from common.roads.way import Leg, Way
from consumers.arrivals.course import OFF_M, Course
from consumers.arrivals.followed import (
    ASK_AGAIN_S,
    MOVED_S,
    ROUTE_AGAIN_S,
    ROUTE_KEPT_S,
    SAID_EVERY_S,
    FollowedOrder,
    Say,
)
from consumers.arrivals.movement import SPACING_S, Movement
from consumers.arrivals.past_errors import EDGES_S, ORDERS_MIN, ErrorRow, PastErrors, rest_on_roads

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PICKUP, DROPOFF = OrderPlace(53.40, -2.90), OrderPlace(53.42, -2.90)
ORDER = Order(
    version=1, order_id="o", driver_id="d", pickup=PICKUP, dropoff=DROPOFF,
    state=DeliveryState.ASSIGNED, times=StateTimes(new=NOW), updated_at=NOW,
)  # fmt: skip
# North along a meridian, 111.2 m a step, then east: an L of 20 steps.
LINE = (*((53.40 + 0.001 * n, -2.90) for n in range(11)),
        *((53.41, -2.90 + 0.0015 * n) for n in range(1, 11)))  # fmt: skip
WAY = Way(LINE, (10.0,) * 20, (100.0,) * 20, (Leg(200.0, 2000.0),), "roads")


def followed(order: Order = ORDER) -> FollowedOrder:
    return FollowedOrder(encode_order(order), order)


def rest(seconds: float, spread: float = 0.2) -> Rest:
    return Rest(seconds, seconds * (1 - spread), seconds * (1 + spread), 1000.0, "history")


def test_a_course_is_driven_along() -> None:
    course = Course(WAY)
    assert (course.rest_s, course.rest_m) == (200.0, 2000.0)
    left = [course.rest_s]
    for here in LINE:
        # 20 m beside the line, as fixes are.
        assert course.advance((here[0] + 0.00018, here[1])) < OFF_M
        left.append(course.rest_s)
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(0.0, abs=2.0)


def test_who_leaves_the_line_stays_where_it_was_on_it() -> None:
    course = Course(WAY)
    course.advance(LINE[5])
    before = course.rest_s
    assert course.advance((53.405, -2.88)) > OFF_M
    assert course.rest_s == before
    # Noise backwards takes nothing back.
    course.advance(LINE[4])
    assert course.rest_s <= before


def test_a_loop_is_not_cut_short() -> None:
    """The end of a round tour lies at its beginning: who has just set off is not there."""
    there = tuple((53.40 + 0.001 * n, -2.90) for n in range(31))
    tour = (*there, *reversed(there[:-1]))
    course = Course(Way(tour, (10.0,) * 60, (111.2,) * 60, (Leg(600.0, 6672.0),), "roads"))
    assert course.advance(tour[0]) < 1
    assert course.rest_s == pytest.approx(600)


def test_a_course_over_the_date_line() -> None:
    line = tuple((0.0, 179.99 + 0.002 * n if n < 6 else -180.01 + 0.002 * n) for n in range(11))
    course = Course(Way(line, (10.0,) * 10, (222.0,) * 10, (Leg(100.0, 2220.0),), "roads"))
    for here in line:
        assert course.advance(here) < 1
    assert course.rest_s == pytest.approx(0, abs=0.1)


@given(st.lists(st.tuples(st.floats(53.39, 53.43), st.floats(-2.92, -2.87)), max_size=30))
def test_no_course_ever_goes_back_or_below_nothing(places: list[tuple[float, float]]) -> None:
    course = Course(WAY)
    left = course.rest_s
    for here in places:
        course.advance(here)
        assert 0 <= course.rest_s <= left
        assert course.rest_m == pytest.approx(course.rest_s * 10)
        left = course.rest_s


def test_a_way_is_asked_for_when_it_must_be() -> None:
    one = followed()
    assert one.wants_route(LINE[0], 0.0)
    one.take_route(WAY, LINE[0], 0.0)
    assert not one.wants_route(LINE[1], 5.0)
    assert one.wants_route(LINE[2], ROUTE_AGAIN_S)
    # The engine is away: what is known stands for a while, and is driven along.
    one.take_route(None, LINE[2], ROUTE_AGAIN_S)
    known = one.rest_on_course()
    assert known is not None
    assert known.seconds == pytest.approx(180, abs=1)
    assert one.wants_route(LINE[3], ROUTE_KEPT_S)
    one.take_route(None, LINE[3], ROUTE_KEPT_S)
    assert one.rest_on_course() is None
    one.take_route(WAY, LINE[3], ROUTE_KEPT_S)
    assert one.wants_route((53.405, -2.88), ROUTE_KEPT_S + 1)
    assert one.rest_on_course() is None


def test_who_is_not_on_the_graph_is_seldom_asked_about() -> None:
    one = followed()
    one.take_route(None, LINE[0], 0.0)
    assert not one.wants_route(LINE[0], ASK_AGAIN_S - 1)
    assert one.wants_route(LINE[0], ASK_AGAIN_S)
    one.take_route(None, LINE[0], ASK_AGAIN_S)
    # Elsewhere there may be roads.
    later = moved(ORDER, DeliveryState.PICKED_UP, NOW)
    assert later is not None
    one.change(encode_order(later), later)
    assert one.wants_route(LINE[0], ASK_AGAIN_S)


def test_another_state_is_another_way() -> None:
    one = followed()
    one.take_route(WAY, LINE[0], 0.0)
    assert len(one.stops) == 2
    later = moved(ORDER, DeliveryState.PICKED_UP, NOW)
    assert later is not None
    one.change(encode_order(later), later)
    assert stops_of(one.order) == one.stops
    assert one.wants_route(LINE[0], 1.0)


@given(st.lists(st.tuples(st.floats(0.1, 8.0), st.floats(0, 400)), max_size=60))
def test_customers_are_told_what_moved_and_not_too_often(steps: list[tuple[float, float]]) -> None:
    one, now_s = followed(), 0.0
    said: list[tuple[float, Arrival]] = []
    for pause_s, seconds in steps:
        now_s += pause_s
        now = NOW + timedelta(seconds=now_s)
        arrival = arrival_of("o", "d", rest(seconds), now, now)
        due = True
        if said:
            before_s, before = said[-1]
            moved_s = abs((arrival.arrival_at - before.arrival_at).total_seconds())
            due = moved_s >= MOVED_S and now_s - before_s >= SAID_EVERY_S
        told = one.say(arrival, now_s) is Say.PUBLISH
        assert told == due
        if told:
            said.append((now_s, arrival))


def test_the_driver_is_near_once_and_not_before_the_goods_are_with_him() -> None:
    near = arrival_of("o", "d", rest(200), NOW, NOW)
    assert not followed().arrives_soon(near, 300)
    picked_up = moved(ORDER, DeliveryState.PICKED_UP, NOW)
    assert picked_up is not None
    one = followed(picked_up)
    assert not one.arrives_soon(arrival_of("o", "d", rest(400), NOW, NOW), 300)
    assert one.arrives_soon(near, 300)
    assert not one.arrives_soon(near, 300)
    another = msgspec.structs.replace(picked_up, driver_id="e", version=3)
    one.change(encode_order(another), another)
    assert one.arrives_soon(near, 300)
    at_the_door = moved(picked_up, DeliveryState.ARRIVING, NOW)
    assert at_the_door is not None
    assert not followed(at_the_door).arrives_soon(near, 300)
    assert not followed(picked_up).arrives_soon(near, 0)
    silent = arrival_of("o", "d", rest(200), NOW - timedelta(seconds=240), NOW)
    assert (silent.remaining_s, followed(picked_up).arrives_soon(silent, 0)) == (0, False)
    assert not followed(picked_up).arrives_soon(silent, 300)


def test_a_minute_is_logged_once() -> None:
    one = followed()
    assert [one.is_logged(minute) for minute in (5, 5, 6, 6)] == [False, True, False, True]


def test_where_an_order_goes_yet() -> None:
    assert len(stops_of(ORDER)) == 2
    assert stops_of(msgspec.structs.replace(ORDER, dropoff=None)) == ()
    assert len(stops_of(msgspec.structs.replace(ORDER, pickup=None))) == 1
    over = moved(ORDER, DeliveryState.DELIVERED, NOW)
    assert over is not None
    assert stops_of(over) == ()
    # Over the pick-up it takes longer, and the speed so far says nothing of the second leg.
    pace, here = Pace(), (53.41, -2.90)
    whole = rest_by_pace(here, stops_of(ORDER), pace)
    assert whole.seconds > rest_by_pace(here, stops_of(ORDER)[1:], pace).seconds
    assert whole.low_s < whole.seconds < whole.high_s


def test_an_arrival_is_the_frame_that_is_read_back() -> None:
    arrival = arrival_of("o", "d", rest(300), NOW - timedelta(seconds=10), NOW)
    assert (arrival.remaining_s, arrival.position_age_s) == (290, 10)
    assert arrival.arrival_at == NOW + timedelta(seconds=290)
    frame = encode_arrival(arrival)
    assert decode_arrival(frame) == arrival
    assert computed_at(frame) == NOW
    assert is_arrival_of(frame, b'{"driver_id":"d"')
    assert not is_arrival_of(frame, b'{"driver_id":"e"')
    assert aged(arrival, NOW + timedelta(seconds=5)).position_age_s == 15
    for bad in (None, b"", b'{"type":"arrival","data":[]}', b'{"type":"arrival"'):
        assert decode_arrival(bad) is None
    assert computed_at(b'{"type":"arrival","data":{"computed_at":"soon"}}') is None


def test_who_is_silent_for_long_is_expected_now_not_before() -> None:
    arrival = arrival_of("o", "d", rest(60), NOW - timedelta(seconds=100), NOW)
    assert (arrival.remaining_s, arrival.low_s, arrival.high_s) == (0, 0, 0)
    assert arrival.arrival_at == NOW


def errors(*rows: tuple[int, float], orders: int = ORDERS_MIN) -> PastErrors:
    """Engine's times that were off by a factor, half and twice that at the ends."""
    return PastErrors(
        ErrorRow("roads", edge, orders, log(f / 2), log(f), log(f * 2)) for edge, f in rows
    )


def test_past_errors_correct_and_widen() -> None:
    model = rest_on_roads(900.0, 5000.0)
    assert PastErrors().correct(model).seconds == 900
    known = errors((2, 1.5)).correct(model)
    assert known[:3] == pytest.approx((1350, 675, 2700))
    # Of other methods, and of too few orders, nothing is known.
    assert errors((2, 1.5)).correct(rest(900)).seconds == 900
    assert errors((2, 1.5), orders=ORDERS_MIN - 1).correct(model).seconds == 900
    # A fault somewhere does not make hours of minutes.
    assert errors((2, 50.0)).correct(model).seconds == pytest.approx(2700)


@given(st.floats(0, 20_000), st.lists(st.floats(0.4, 2.5), min_size=5, max_size=5))
def test_corrections_go_over_into_each_other(seconds: float, factors: list[float]) -> None:
    known = errors(*enumerate(factors))
    here = known.correct(rest_on_roads(seconds, 0))
    assert 0 <= here.low_s <= here.seconds <= here.high_s
    # No step at the edge of a class: a second more is some seconds more at most.
    for edge in EDGES_S:
        below, above = (known.correct(rest_on_roads(edge + d, 0)).seconds for d in (-0.5, 0.5))
        assert abs(above - below) < 8


@given(st.lists(st.floats(0.5, 90), min_size=1, max_size=200))
def test_movement_is_bounded_and_ends_at_the_newest(pauses: list[float]) -> None:
    movement, at = Movement(), 0.0
    for number, pause in enumerate(pauses):
        at += pause
        movement.add(at, 53 + number * 1e-4, -3.0)
        movement.add(at - 1, 0.0, 0.0)
    places = movement._places
    assert places[-1] == (at, 53 + (len(pauses) - 1) * 1e-4, -3.0)
    assert len(places) <= 2 * 300 / SPACING_S + 3
    assert movement.recent_mps is None or movement.recent_mps >= 0
