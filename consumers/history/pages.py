"""Where the history's pages come from: what is pending here first, then new entries.

Pending at the start is what a predecessor left, which may have died of one of the entries. Later
it is what was lost on the way: a reply, or the entries of a consumer that is gone.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from common.log import Repeated, get
from consumers.history.trials import HistoryTrials
from consumers.stream.entry import Entry
from consumers.stream.group_reader import REDIS_TROUBLE, GroupReader, is_group_missing
from consumers.stream.groups import START
from consumers.stream.page import BatchLimits, PageCount, batches_of
from consumers.stream.poison.crash import plan_page
from consumers.stream.poison.trial import Trial, trial_of

# Entries of consumers that are gone are looked for this often; they wait a minute anyway.
RECLAIM_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Entries in hand, as many as make a batch.

    `possibly_stored`: somebody had them in hand before. `times`: how often they were begun by
    processes that died, when that is to be counted, else 0. `killers`: names of positions that
    must not be looked into. `trial`: how the one entry is to be tried in parts.
    """

    entries: Sequence[Entry]
    possibly_stored: bool = False
    times: int = 0
    killers: Collection[bytes] = ()
    trial: Trial | None = None

    @property
    def ids(self) -> list[bytes]:
        """The entries' ids."""
        return [entry.id for entry in self.entries]


@dataclass(frozen=True, slots=True)
class PageLimits:
    """The settings that bound a page, and how long an entry may lie with a consumer."""

    rows: int
    retries: int
    idle_ms: int


class PageSource:
    """Gives one page after the other. Methods raise what `GroupReader` raises.

    `live_killers` gives the names of positions that the live stage has given up.
    """

    def __init__(
        self,
        group: GroupReader,
        trials: HistoryTrials,
        limits: PageLimits,
        live_killers: Callable[[], Sequence[bytes]],
        *,
        reclaim_every_s: float = RECLAIM_EVERY_S,
    ) -> None:
        self._group = group
        self._trials = trials
        self._limits = limits
        self._live_killers = live_killers
        self._reclaim_every_s = reclaim_every_s
        self._reclaim_at_s = 0.0
        self._reclaiming = Repeated(get("history"), "history.reclaim.failed")
        self._batch_limits = BatchLimits(limits.rows)
        self._count = PageCount(self._batch_limits)
        # What was read and is more than one batch.
        self._read: deque[HistoryPage] = deque()
        # Whether the last read of new entries found as many as it asked for.
        self._full = False
        # Own pending entries after this id are to be taken; None when there are none.
        self._pending_after: bytes | None = START
        # Whether they are what a predecessor left.
        self._after_crash = True

    @property
    def has_pending(self) -> bool:
        """Whether the next page is one of pending entries, as far as is known."""
        return self._pending_after is not None

    @property
    def has_more(self) -> bool:
        """Whether there is a next page at once, as far as is known."""
        return self.has_pending or bool(self._read) or self._full

    def take_pending_again(self) -> None:
        """Entries may be pending that nobody has in hand."""
        self._after_crash = self._after_crash and self.has_pending
        self._pending_after = START
        self._read.clear()

    async def next_page(self) -> HistoryPage:
        """The next page; an empty one when there is none, or none any more of its kind."""
        if not self._read:
            after = self._pending_after
            await (self._read_new() if after is None else self._take_pending(after))
        return self._read.popleft() if self._read else HistoryPage(())

    async def _read_new(self) -> None:
        entries = await self._group.read_new(self._count.entries)
        self._full = len(entries) >= self._count.entries
        self._cut(HistoryPage(entries, killers=self._live_killers()))

    async def _take_pending(self, after: bytes) -> None:
        pending = await self._group.pending(after, self._count.entries)
        if not pending:
            self._pending_after = None
            self._after_crash = False
            return
        ids, times, on_trial, kept = [entry.id for entry in pending], 0, False, None
        if self._after_crash:
            times = pending[0].times
            kept = await self._trials.load()
            ids, on_trial = plan_page(pending, self._count.entries, kept and kept.entry_id)
        entries = await self._group.take_pending(ids, pending[0].times)
        self._pending_after = ids[-1]
        page = HistoryPage(entries, possibly_stored=True, times=times, killers=self._live_killers())
        if on_trial:
            trial = trial_of(entries[0], kept, self._limits.retries)
            self._read.append(replace(page, trial=trial))
        else:
            self._cut(page)

    def _cut(self, page: HistoryPage) -> None:
        self._count.came(page.entries)
        for entries in batches_of(page.entries, self._batch_limits):
            self._read.append(replace(page, entries=entries))

    async def reclaim(self) -> list[bytes]:
        """Now and then, while no page is in hand: see that no entry stays pending for ever.

        Returns the ids of entries that were deleted before they were stored. Trouble is said and
        tried again: it does not hold up the stage.
        """
        if time.monotonic() < self._reclaim_at_s:
            return []
        self._reclaim_at_s = time.monotonic() + self._reclaim_every_s
        try:
            claimed, deleted = await self._group.claim_idle(self._limits.idle_ms)
            if claimed or await self._group.any_idle(self._limits.idle_ms):
                self.take_pending_again()
        except REDIS_TROUBLE as e:
            if is_group_missing(e):
                raise
            # Some may have become ours before the reply was lost.
            self.take_pending_again()
            self._reclaiming.failed(error=str(e))
            return []
        self._reclaiming.healed()
        return deleted
