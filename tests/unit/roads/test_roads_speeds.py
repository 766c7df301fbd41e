"""What is concluded from passes of segments, and how trips judge it."""

import random
from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from common.roads.way import MatchedLeg, MatchedPiece
from deploy.roads.learning.passes import Judgement, add_passes, judge
from deploy.roads.learning.speeds import (
    RATIO_MAX,
    RATIO_MIN,
    Speeds,
    SpeedSums,
    conclude,
    read_speed_lines,
    speed_lines,
)
from deploy.roads.slots import slot_at, slot_name

# 2026-01-05 08:00 UTC.
MONDAY_8 = 1_767_600_000.0


def leg(begin_s: float, took_s: float, nodes=(1, 2), *, turn_s: float = 0.0) -> MatchedLeg:
    """Each step is 100 m, and 10 s by the map."""
    steps = len(nodes) - 1
    return MatchedLeg(
        begin_s, begin_s + took_s, ((0.0, 0.0),) * len(nodes), (10.0,) * steps, (100.0,) * steps,
        nodes, 10.0 * steps + turn_s, 100.0 * steps,
    )  # fmt: skip


def piece(*legs: MatchedLeg) -> MatchedPiece:
    return MatchedPiece(legs, 1.0)


def test_hours_are_those_of_working_days_and_of_weekends():
    thursday, saturday = 1_767_830_400.0, 1_768_003_200.0
    assert slot_name(slot_at(thursday + 8 * 3600)) == "workday-08"
    assert slot_name(slot_at(saturday + 23.99 * 3600)) == "weekend-23"


def test_without_passes_the_map_is_right():
    ratios = conclude(SpeedSums())
    assert ratios.of((1, 2), 8) == 1.0
    assert ratios.speeds(8).kmh == {}


def test_many_passes_outweigh_what_was_believed():
    sums = SpeedSums()
    for _ in range(2000):
        sums.add((1, 2), 8, 100, 10, 30)
        sums.add((1, 2), 3, 100, 10, 10)
    ratios = conclude(sums)
    assert isclose(ratios.of((1, 2), 8), 3.0, rel_tol=0.02)
    assert isclose(ratios.of((1, 2), 3), 1.0, rel_tol=0.02)
    # 100 m in 30 s are 12 km/h.
    assert isclose(ratios.speeds(8).kmh[1, 2], 12.0, rel_tol=0.02)


def test_a_segment_that_was_passed_once_is_drawn_to_its_hour():
    sums = SpeedSums()
    for number in range(500):
        sums.add((number, number + 1), 8, 100, 10, 20)
    sums.add((9000, 9001), 8, 100, 10, 60)
    ratios = conclude(sums)
    assert 1.8 < ratios.of((5, 6), 8) < 2.2
    assert 2.0 < ratios.of((9000, 9001), 8) < 4.0
    # Nobody drove at 9; the hour is as all hours are.
    assert 1.5 < ratios.of((5, 6), 9) < 2.2


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 47), st.floats(0.1, 1e4), st.floats(0.0, 1e6)),
        max_size=40,
    )
)
def test_whatever_was_seen_ratios_and_speeds_stay_within_bounds(rows):
    sums = SpeedSums()
    for begin, slot, expected_s, observed_s in rows:
        sums.add((begin, begin + 1), slot, expected_s * 10, expected_s, observed_s)
    ratios = conclude(sums)
    for slot in (0, 8, 47, None):
        for kmh in ratios.speeds(slot).kmh.values():
            assert 36 / RATIO_MAX - 1 <= kmh <= 36 / RATIO_MIN + 1


def test_the_map_s_lines_come_back():
    speeds = {(10, 2): 31.4, (2, 10): 8.0}
    lines = list(speed_lines(speeds))
    assert lines == ["2,10,8.0\n", "10,2,31.4\n"]
    assert read_speed_lines(lines) == speeds


def test_what_is_old_weighs_less_and_is_forgotten():
    sums = SpeedSums()
    sums.add((1, 2), 8, 100, 10, 30)
    sums.age(0.5)
    assert sums.by_segment[1, 2][8].observed_s == 15
    for _ in range(20):
        sums.age(0.5)
    assert sums.by_segment == {}


def test_time_at_turns_is_not_the_segment_s():
    sums = SpeedSums()
    add_passes(sums, [piece(leg(MONDAY_8, 25.0, turn_s=5.0))], lambda *_: 1.0)
    ((_, slots),) = sums.by_segment.items()
    assert slots[slot_at(MONDAY_8)].observed_s == 20.0


def test_a_wait_at_a_door_is_no_slow_road():
    sums = SpeedSums()
    add_passes(sums, [piece(leg(MONDAY_8, 110.0))], lambda *_: 1.0)
    assert sums.by_segment[1, 2][slot_at(MONDAY_8)].observed_s == 80.0


def test_the_division_among_segments_comes_nearer_night_by_night():
    """Fixes lie in the middle of streets: no leg is of one street alone."""
    true = {(n, n + 1): 1.0 + n % 3 for n in range(1, 40)}
    sums, rng, errors = SpeedSums(), random.Random(1), []
    for _ in range(12):
        ratios, seen = conclude(sums), SpeedSums()
        for _ in range(200):
            first = rng.randint(1, 37)
            nodes = tuple(range(first, first + 3))
            took_s = sum(10 * true[a, a + 1] for a in nodes[:2])
            add_passes(seen, [piece(leg(MONDAY_8, took_s, nodes))], ratios.of)
        sums.age()
        sums.merge(seen)
        known, slot = conclude(sums), slot_at(MONDAY_8)
        errors.append(sum(abs(known.of(s, slot) - t) / t for s, t in true.items()) / len(true))
    assert errors[-1] < 0.7 * errors[0]


def test_trips_judge_the_speeds_of_the_hour_in_which_they_began():
    trip = [piece(leg(MONDAY_8, 100.0, (1, 2, 3)), leg(MONDAY_8 + 100, 40.0, (3, 4)))]
    # By the map: 30 s; at 9 km/h three steps of 100 m: 120 s.
    assert judge(trip, lambda _slot: Speeds({})) == Judgement(140.0, 110.0)
    slow = dict.fromkeys([(1, 2), (2, 3), (3, 4)], 9.0)
    judged = judge(trip, lambda slot: Speeds(slow) if slot == slot_at(MONDAY_8) else Speeds({}))
    assert judged.off_s == 20.0
    assert judged.error == 20 / 140
    # Streets that nobody drove are as slow as the hour: 30 s by the map are 90 s.
    assert judge(trip, lambda _slot: Speeds({}, 3.0)).off_s == 50.0
