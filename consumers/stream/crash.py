"""An entry that kills the process: found by halving pages, and only after crashes. Pure.

A worker that holds a page and lives says so, so an entry that was begun again and again was in
the hands of a worker that died each time. The more often, the smaller the page that is begun
with, until the entry that kills stands alone; its neighbours are stored on the way.
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
    """Ids to take next. `is_killer`: the one id in it must not be tried again."""

    ids: list[bytes]
    is_killer: bool


def page_size(times: int, page_max: int) -> int:
    """Entries to take next, where the first of them was begun `times` times before."""
    if times >= ALONE_AFTER:
        return 1
    return max(1, page_max // int(10 ** max(0, times - NORMAL_TIMES)))


def is_killer(times: int, retries_max: int) -> bool:
    """Whether an entry that was begun this often, at last alone, must not be tried again."""
    return times >= ALONE_AFTER + retries_max


def plan_page(pending: Sequence[Pending], page_max: int, retries_max: int) -> PagePlan:
    """What to take of a predecessor's pending entries, which are in the stream's order."""
    if not pending:
        return PagePlan([], is_killer=False)
    times = pending[0].times
    taken = pending[: page_size(times, page_max)]
    return PagePlan([entry.id for entry in taken], is_killer=is_killer(times, retries_max))


class Suspicion:
    """The same for a reader that has no pending list: only a count of pages begun and not survived.

    Any of the first `page_max` entries may be the one that killed, so the count stands until all
    of them are passed.
    """

    def __init__(self, times: int, page_max: int, retries_max: int) -> None:
        self._times = times
        self._page_max = page_max
        self._left = page_max
        # Whether the next entry must not be tried again.
        self.is_killer = is_killer(times, retries_max)
        # Whether the process has counted that it begins.
        self.counted = False

    @property
    def over(self) -> bool:
        """Whether all suspects are passed: the count can be forgotten."""
        return self._left <= 0

    @property
    def page_size(self) -> int:
        """Entries to read next."""
        return self._page_max if self.over else page_size(self._times, self._page_max)

    def passed(self, count: int) -> None:
        """`count` entries were worked off. What comes after a short page was never in a page."""
        self._left = self._left - count if count >= self.page_size else 0
