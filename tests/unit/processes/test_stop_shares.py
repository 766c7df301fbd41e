"""How long a child that is stopped may take."""

import pytest

from common.processes.supervision.policy import stop_until_s


@pytest.mark.parametrize(
    ("before_s", "now_s", "until_s"),
    [
        # The one before it stopped at once: what it left is for this one.
        (2.0, 0.1, 2.2),
        # It was killed when its time was over, and took a moment to go.
        (2.0, 2.5, 2.7),
        # Never beyond the deadline of all.
        (7.9, 7.0, 8.0),
        (8.0, 9.0, 8.0),
    ],
)
def test_what_a_child_leaves_of_its_share_is_for_those_after_it(
    before_s: float, now_s: float, until_s: float
) -> None:
    assert stop_until_s(before_s, now_s, share_s=0.2, deadline_s=8.0) == pytest.approx(until_s)
