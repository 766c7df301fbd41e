"""Fewer fixes for the same line: nothing that is left out lies farther off than was allowed."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.geo.simplify import simplify
from common.geo.sphere import distance_m
from tests.unit.insight.test_fold import BUS, BUS_COLUMNS, traces


def placed(points, kept, at):
    """Where the kept points put somebody at a time."""
    after = next(i for i in kept if points[i][0] >= at)
    before = max(i for i in kept if points[i][0] <= at)
    (t0, y0, x0), (t1, y1, x1) = points[before], points[after]
    share = (at - t0) / (t1 - t0) if t1 > t0 else 0.0
    return y0 + (y1 - y0) * share, x0 + (x1 - x0) * share


STEPS = st.lists(
    st.tuples(st.integers(1, 60), st.floats(-3e-4, 3e-4), st.floats(-3e-4, 3e-4)),
    min_size=1,
    max_size=120,
)


@given(STEPS, st.sampled_from([1.0, 10.0, 50.0]))
def test_no_fix_is_farther_from_the_line_than_the_tolerance(steps, tolerance_m):
    points = [(0.0, 53.4, -2.9)]
    for seconds, north, east in steps:
        t, y, x = points[-1]
        points.append((t + seconds, y + north, x + east))
    kept = simplify(points, tolerance_m)
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, len(points) - 1)
    for t, y, x in points:
        assert distance_m(y, x, *placed(points, kept, t)) <= tolerance_m * 1.01 + 0.01


def test_a_bus_keeps_its_length():
    for trace in traces(BUS, BUS_COLUMNS).values():
        points = [(at / 1e6, y, x) for at, y, x, *_ in trace]
        kept = [points[i] for i in simplify(points, 10.0)]

        def length(line):
            return sum(distance_m(*a[1:], *b[1:]) for a, b in pairwise(line))

        assert length(kept) > 0.97 * length(points)


def test_standing_still_is_two_fixes():
    points = [(float(t), 53.4, -2.9) for t in range(500)]
    assert simplify(points, 5.0) == [0, 499]


def test_across_the_antimeridian():
    points = [(float(t), 0.0, (179.99 + t * 0.001 + 180) % 360 - 180) for t in range(21)]
    assert simplify(points, 5.0) == [0, 20]
