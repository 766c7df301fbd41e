"""Backoff: bounded, growing, never zero."""

import random

from hypothesis import given
from hypothesis import strategies as st

from common.backoff import Backoff


@given(st.integers(0, 10_000), st.integers())
def test_delays_stay_between_their_bounds(attempt, seed):
    backoff = Backoff(first_s=0.1, most_s=5.0)
    delay_s = backoff.delay_s(attempt, random.Random(seed))
    assert 0.05 <= delay_s <= 5.0
    assert delay_s <= max(0.05, backoff.ceiling_s(attempt))


def test_the_ceiling_doubles_up_to_its_cap():
    backoff = Backoff(first_s=1.0, most_s=10.0)
    assert [backoff.ceiling_s(n) for n in range(6)] == [1, 2, 4, 8, 10, 10]
