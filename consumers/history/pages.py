"""Where the history's pages come from: what is pending here first, then new entries.

Pending at the start is what a predecessor left, which may have died of one of the entries. Later
it is what was lost on the way: a reply, or the entries of a consumer that is gone.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from common.log import Repeated, get
from consumers.stream.crash import plan_page
from consumers.stream.entry import Entry
from consumers.stream.group_reader import REDIS_TROUBLE, GroupReader, is_group_missing
from consumers.stream.groups import START

# Entries of consumers that are gone are looked for this often; they wait a minute anyway.
RECLAIM_EVERY_S = 10.0


@dataclass(slots=True)
class HistoryPage:
    """Entries in hand.

    `possibly_stored`: somebody had them in hand before. `times`: how often they were begun by
    processes that died, when that is to be counted, else 0. `killers`: ids of entries that must
    not be looked into.
    """

    entries: Sequence[Entry]
    possibly_stored: bool = False
    times: int = 0
    killers: Collection[bytes] = ()

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

    `live_killer` gives the entry that the live stage has given up, if any.
    """

    def __init__(
        self,
        group: GroupReader,
        limits: PageLimits,
        live_killer: Callable[[], bytes | None],
        *,
        reclaim_every_s: float = RECLAIM_EVERY_S,
    ) -> None:
        self._group = group
        self._limits = limits
        self._live_killer = live_killer
        self._reclaim_every_s = reclaim_every_s
        self._reclaim_at_s = 0.0
        self._reclaiming = Repeated(get("history"), "history.reclaim.failed")
        # Own pending entries after this id are to be taken; None when there are none.
        self._pending_after: bytes | None = START
        # Whether they are what a predecessor left.
        self._after_crash = True

    @property
    def has_pending(self) -> bool:
        """Whether the next page is one of pending entries, as far as is known."""
        return self._pending_after is not None

    def take_pending_again(self) -> None:
        """Entries may be pending that nobody has in hand."""
        self._after_crash = self._after_crash and self.has_pending
        self._pending_after = START

    async def next_page(self) -> HistoryPage:
        """The next page; an empty one when there is none, or none any more of its kind."""
        after = self._pending_after
        if after is not None:
            return await self._pending_page(after)
        entries = await self._group.read_new(self._limits.rows)
        killer = self._live_killer()
        return HistoryPage(entries, killers=() if killer is None else (killer,))

    async def _pending_page(self, after: bytes) -> HistoryPage:
        pending = await self._group.pending(after, self._limits.rows)
        if not pending:
            self._pending_after = None
            self._after_crash = False
            return HistoryPage(())
        first = pending[0]
        killers = {killer for killer in (self._live_killer(),) if killer is not None}
        if self._after_crash:
            plan = plan_page(pending, self._limits.rows, self._limits.retries)
            ids = plan.ids
            killers |= set(ids) if plan.is_killer else set()
        else:
            ids = [entry.id for entry in pending]
        entries = await self._group.take_pending(ids, first.times)
        self._pending_after = ids[-1]
        times = first.times if self._after_crash else 0
        return HistoryPage(entries, possibly_stored=True, times=times, killers=killers)

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
