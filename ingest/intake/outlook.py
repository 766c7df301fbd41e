"""How late a shard is, and at what pace it grows, from two totals that only grow. Pure.

`added` and `settled` count the fixes of a shard since ever (`common.stream.backlog`). The fix that
is settled next was the `settled + 1`-th to be added, so its age is the time since `added` passed
that number: remembered here, at no cost to Redis, and right also when nobody reads the stream.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from ingest.intake.room import PACE_S, BacklogPace

# Looks that are remembered; older ones are thinned out, so ages are exact to a share of them.
LOOKS_MAX = 2048
# Fixes of so many seconds are under way to the database when all is well, in batches.
UNDER_WAY_S = 2.0
# Growth is measured over at least so long, where the looks reach back.
GROWTH_S_MIN = 5.0


class _BacklogLook(NamedTuple):
    at_s: float
    added: int
    waiting: int


class Outlook:
    """One shard. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._looks: deque[_BacklogLook] = deque()
        # The same of the last PACE_S seconds, whatever is settled.
        self._recent: deque[_BacklogLook] = deque()

    def look(self, now_s: float, added: int, waiting: int) -> None:
        """The totals as they are now: fixes that were added since ever, and those that wait."""
        if self._looks and added < self._looks[-1].added:
            # Redis has lost its data: it counts anew.
            self._looks.clear()
            self._recent.clear()
        look = _BacklogLook(now_s, added, waiting)
        self._looks.append(look)
        self._recent.append(look)
        settled = added - waiting
        while len(self._looks) > 1 and self._looks[1].added <= settled:
            self._looks.popleft()
        while len(self._recent) > 2 and self._recent[1].at_s <= now_s - PACE_S:
            self._recent.popleft()
        if len(self._looks) > LOOKS_MAX:
            self._looks = deque(_every_other(self._looks))

    def lag_s(self, now_s: float) -> float:
        """Age of the oldest fix that waits; at least that of the first look, where it is older."""
        if not self._looks or self._looks[-1].waiting <= 0:
            return 0.0
        settled = self._looks[-1].added - self._looks[-1].waiting
        for before, after in pairwise(self._looks):
            if before.added <= settled < after.added:
                share = (settled - before.added) / (after.added - before.added)
                return now_s - before.at_s - share * (after.at_s - before.at_s)
        return now_s - self._looks[0].at_s

    def pace(self) -> BacklogPace:
        """The pace of the last minute; none before the second look.

        What waits is under way, and grows by chance alone, until it is some seconds' worth. Its
        growth is that since then, so an outage that has just begun is not thinned out by the good
        time before it.
        """
        if len(self._recent) < 2 or self._recent[0].at_s >= self._recent[-1].at_s:
            return BacklogPace()
        first, last = self._recent[0], self._recent[-1]
        arrivals = (last.added - first.added) / (last.at_s - first.at_s)
        under_way = arrivals * UNDER_WAY_S
        if last.waiting <= under_way:
            return BacklogPace(0.0, arrivals)
        since = first
        for look in self._recent:
            if look.waiting <= under_way and look.at_s <= last.at_s - GROWTH_S_MIN:
                since = look
        return BacklogPace((last.waiting - since.waiting) / (last.at_s - since.at_s), arrivals)


def _every_other(looks: deque[_BacklogLook]) -> Iterator[_BacklogLook]:
    """Every second look, and the first and the last of all."""
    last = looks[-1]
    yield from islice(looks, 0, len(looks) - 1, 2)
    yield last
