"""Which fixes of a trace are matched."""

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from common.geo.sphere import distance_m
from common.roads.thin import GAP_S, SPEED_MAX_MPS, STEP_M, STEP_S, TraceFix, thin
from tests.roles.roads import place


def moved(at_s: float, east: float, **more: float) -> TraceFix:
    return TraceFix(at_s, *place(east, 0), **more)


def test_a_moving_trace_keeps_a_fix_every_few_seconds():
    # A fix a second at 10 m/s: every fifth is 50 m on.
    (piece,) = thin(moved(second, second / 20) for second in range(61))
    assert [fix.at_s for fix in piece] == list(range(0, 61, 5))


def test_who_trembles_on_the_spot_is_nobody_under_way():
    rng = random.Random(7)
    fixes = [moved(5 * i, rng.gauss(0, 0.03)) for i in range(200)]
    assert sum(len(piece) for piece in thin(fixes)) < 10


def test_a_gap_divides():
    fixes = [moved(0, 0), moved(10, 1), moved(10 + GAP_S + 1, 2), moved(30 + GAP_S, 3)]
    assert [len(piece) for piece in thin(fixes)] == [2, 2]


def test_a_jump_is_left_out_and_a_new_place_is_not():
    there = [moved(10 * i, i) for i in range(5)]
    jump = moved(25, 400)
    assert thin([*there[:3], jump, *there[3:]]) == [there]
    away = [moved(50 + 10 * i, 4000 + i) for i in range(8)]
    pieces = thin([*there, *away])
    assert pieces[0] == there
    assert pieces[1] == away[3:]


def test_a_fix_that_says_it_is_far_off_is_left_out():
    fixes = [moved(0, 0), moved(10, 1, accuracy_m=400), moved(20, 2, accuracy_m=8)]
    assert thin(fixes) == [[fixes[0], fixes[2]]]


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(-20, 20), st.floats(-20, 20)), max_size=60))
@settings(max_examples=60)
def test_whatever_comes_in_pieces_go_on_and_never_jump(steps):
    trace, at_s = [], 0.0
    for wait_s, east, north in steps:
        at_s += wait_s
        trace.append(TraceFix(at_s, *place(east, north)))
    pieces = thin(trace)
    assert [fix for piece in pieces for fix in piece] == sorted(
        (fix for piece in pieces for fix in piece), key=lambda fix: fix.at_s
    )
    for piece in pieces:
        assert len(piece) > 1
        for before, after in pairwise(piece):
            passed_s = after.at_s - before.at_s
            way_m = distance_m(*before[1:3], *after[1:3])
            assert STEP_S <= passed_s <= GAP_S
            assert STEP_M <= way_m <= SPEED_MAX_MPS * passed_s
