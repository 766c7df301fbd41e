"""An entry that kills the process: found by halving pages, and only after crashes. Pure.

A worker that holds a page and lives says so, so an entry that was begun again and again was in
the hands of a worker that died each time. The more often, the smaller the page that is begun
with, until the entry that kills stands alone; its neighbours are stored on the way. Then its pack
is tried in parts, see `consumers.stream.poison.trial`.
"""

from collections.abc import Sequence
from typing import NamedTuple

# Times begun that are normal: the first one, and one after a crash that was nobody's fault.
NORMAL_TIMES = 2
# From here on an entry stands alone.
ALONE_AFTER = NORMAL_TIMES + 3


class Pending(NamedTuple):
    """An entry that was begun and never acknowledged, and how often it was begun."""

    id: bytes
    times: int


class PagePlan(NamedTuple):
    """Ids to take next. `on_trial`: the one entry among them is to be tried in parts."""

    ids: list[bytes]
    on_trial: bool


def page_size(times: int, page_max: int) -> int:
    """Entries to take next, where the first of them was begun `times` times before."""
    if times >= ALONE_AFTER:
        return 1
    return max(1, page_max // int(10 ** max(0, times - NORMAL_TIMES)))


def plan_page(pending: Sequence[Pending], page_max: int, tried: bytes | None = None) -> PagePlan:
    """What to take of a predecessor's pending entries, which are in the stream's order.

    `tried`: the entry that the predecessor tried in parts, if any.
    """
    if not pending:
        return PagePlan([], on_trial=False)
    first = pending[0]
    if first.id == tried or first.times >= ALONE_AFTER:
        return PagePlan([first.id], on_trial=True)
    taken = [entry.id for entry in pending[: page_size(first.times, page_max)]]
    if tried in taken:
        taken = taken[: taken.index(tried)]
    return PagePlan(taken, on_trial=False)


class Suspicion:
    """The same for a reader that has no pending list: only a count of pages begun and not survived.

    Any of the first `page_max` entries may be the one that killed, so the count stands until all
    of them are passed.
    """

    def __init__(self, times: int, page_max: int) -> None:
        self._times = times
        self._page_max = page_max
        self._left = page_max
        # Whether the process has counted that it begins.
        self.counted = False

    @property
    def over(self) -> bool:
        """Whether all suspects are passed: the count can be forgotten."""
        return self._left <= 0

    @property
    def on_trial(self) -> bool:
        """Whether entries are read alone, each to be tried in parts."""
        return not self.over and self._times >= ALONE_AFTER

    @property
    def page_size(self) -> int:
        """Most entries to read next."""
        return self._page_max if self.over else page_size(self._times, self._page_max)

    def passed(self, count: int, asked: int) -> bool:
        """`count` entries of a page of `asked` were worked off; whether the suspicion is over now.

        What comes after a short page was never in a page.
        """
        self._left = self._left - count if count >= asked else 0
        return self.over
