"""How late a shard is and at what pace it grows, from two totals alone."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.intake.outlook import LOOKS_MAX, Outlook
from ingest.intake.room import PACE_S, BacklogPace
from ingest.reports import WorkerNames


@given(
    st.lists(
        st.tuples(st.floats(0.1, 3), st.integers(0, 50), st.floats(0, 1)), min_size=1, max_size=60
    )
)
def test_the_lag_is_the_age_of_the_oldest_that_waits_to_a_look(steps):
    """Model: a queue with the moment of each fix. The lag may be off by the time between looks."""
    outlook, queue = Outlook(), deque()
    now = added = 0
    outlook.look(0.0, 0, 0)
    longest = 0.0
    for seconds, came, share in steps:
        now += seconds
        longest = max(longest, seconds)
        queue += [now] * came
        added += came
        for _ in range(int(share * len(queue))):
            queue.popleft()
        outlook.look(now, added, len(queue))
        truth = now - queue[0] if queue else 0.0
        assert truth - 1e-6 <= outlook.lag_s(now) <= truth + longest + 1e-6


def test_what_waited_before_the_first_look_is_at_least_as_old_as_it():
    outlook = Outlook()
    outlook.look(100.0, 1000, 10)
    assert outlook.lag_s(107.0) == 7.0
    outlook.look(107.0, 1000, 0)
    assert outlook.lag_s(108.0) == 0.0


def test_memory_is_bounded_and_a_long_outage_stays_known():
    outlook = Outlook()
    for second in range(4 * LOOKS_MAX):
        outlook.look(float(second), second * 7, second * 7)
    assert len(outlook._looks) <= LOOKS_MAX
    now = 4.0 * LOOKS_MAX
    assert outlook.lag_s(now) == pytest.approx(now, abs=10)


def test_a_redis_that_forgot_begins_anew():
    outlook = Outlook()
    outlook.look(0.0, 500, 500)
    outlook.look(10.0, 3, 3)
    assert outlook.lag_s(11.0) == 1.0


def watched(waiting, arrivals=30):
    """A look each second, while so many fixes come in each."""
    outlook = Outlook()
    for second, fixes in enumerate(waiting):
        outlook.look(float(second), 1000 + arrivals * second, fixes)
    return outlook.pace()


@pytest.mark.parametrize(
    ("waiting", "growth"),
    [
        ([0, 0, 0], 0.0),
        # It drains.
        ([900, 800, 700], -100.0),
        ([100, 110, 120], 10.0),
        # The share of a batch that is under way is no growth.
        ([0, 29, 3, 40, 60], 0.0),
        ([0], 0.0),
    ],
)
def test_the_pace_is_how_much_more_waits_and_how_much_comes(waiting, growth):
    assert watched(waiting) == BacklogPace(growth, 30.0 if len(waiting) > 1 else 0.0)


def test_two_looks_at_the_same_moment_say_no_pace():
    outlook = Outlook()
    outlook.look(1.0, 10, 5)
    outlook.look(1.0, 10, 5)
    assert outlook.pace() == BacklogPace()


def test_an_outage_is_not_thinned_out_by_the_time_before_it():
    """Ten seconds after it began the room was said to last six times too long."""
    pace = watched([7] * 50 + [7 + 30 * second for second in range(1, 11)])
    assert pace.growth == pytest.approx(30, rel=0.15)
    # Of one that has lasted, the last minute counts.
    assert watched([30 * second for second in range(300)]).growth == 30


def test_a_slow_leak_is_seen_once_it_is_more_than_what_is_under_way():
    leak = [second // 2 for second in range(600)]
    assert watched(leak[:100]).growth == 0
    assert watched(leak).growth == pytest.approx(0.5, rel=0.05)


def test_the_pace_is_that_of_the_last_minute():
    outlook = Outlook()
    for second in range(200):
        # It grew fast before, and by one a second now.
        fixes = 100 * min(second, 100) + max(0, second - 100)
        outlook.look(float(second), fixes, fixes)
    assert PACE_S < 99
    assert outlook.pace() == BacklogPace(1.0, 1.0)


def test_workers_are_called_by_the_lowest_number_that_is_free():
    names = WorkerNames()
    assert [names.name(pid) for pid in (70, 71, 70)] == [
        ("ingest-0", True),
        ("ingest-1", True),
        ("ingest-0", False),
    ]
    assert names.forget(70) == "ingest-0"
    assert names.name(72) == ("ingest-0", True)
    assert names.pids == [71, 72]
