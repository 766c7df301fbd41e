"""The ledger: which entries the history holds in memory, and whether it must re-read the rest.

Pure. Every entry that was read stays pending in Redis until it is stored, so memory is only a
short cut. While the history keeps up, batches pass through here. When it falls behind (at the
start, or when the database is away and `events_max` is reached) the ledger lets go of everything
and the history re-reads its pending entries from Redis, page by page, until it has caught up.

Invariant: an entry offered is either held here, or in the page being stored, or will be in a
page to come. That is why offers are held from before a page is read (`begin_page`): an entry
delivered before the read is in the page, one delivered after it is held here, and one that is
both is dropped here (`end_page`, and `offer` for those that come even later).

When Redis has lost its pending list (`pending_lost`), what is held is all there is of it: letting
go of that is a loss, and is counted.
"""

from collections import deque
from collections.abc import Sequence

from consumers.stream.entry import Entry, id_order


class Ledger:
    """Batches on their way into the history; see the module for the states."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._batches: deque[Sequence[Entry]] = deque()
        self._joining = False
        # Last id of the last page; the next one begins behind it.
        self.paged_through = b"0-0"
        # True at the start: what a predecessor left pending comes first.
        self.behind = True
        self.held = 0
        # Entries up to this id are not pending in Redis any more: they are here or nowhere.
        self._orphaned_through = self._offered_through = (0, 0)
        self._orphans_lost = 0

    def offer(self, batch: Sequence[Entry]) -> None:
        """Hold a batch that was just read, or let it go: it is pending in Redis either way."""
        if self.behind and not self._joining:
            return
        batch = self._after_pages(batch)
        if self.held + len(batch) > self._events_max:
            self.fall_behind()
            return
        if batch:
            self._offered_through = id_order(batch[-1].id)
        self._batches.append(batch)
        self.held += len(batch)

    @property
    def full(self) -> bool:
        """Whether another large batch would make the ledger let go of everything."""
        return not self.behind and self.held * 2 >= self._events_max

    def fall_behind(self) -> None:
        """Let go of all that is held; pages will bring it back, from the first pending entry."""
        self._let_go()
        self.paged_through = b"0-0"

    def pending_lost(self) -> None:
        """Redis has forgotten all that it had delivered."""
        self._orphaned_through = self._offered_through
        self.paged_through = b"0-0"
        self.behind = False

    def give_up(self, entries: Sequence[Entry]) -> None:
        """Entries that were taken from here will not be stored from memory."""
        if entries and id_order(entries[0].id) <= self._orphaned_through:
            self._orphans_lost += sum(id_order(e.id) <= self._orphaned_through for e in entries)

    def orphans_lost(self) -> int:
        """Entries lost since this was last asked: let go of though nobody else had them."""
        lost, self._orphans_lost = self._orphans_lost, 0
        return lost

    def _let_go(self) -> None:
        for batch in self._batches:
            self.give_up(batch)
        self._batches.clear()
        self.held = 0
        self.behind = True
        self._joining = False

    def keep_up(self) -> None:
        """Nothing is pending: hold what is offered from now on."""
        self.behind = False

    def begin_page(self) -> None:
        """A page of pending entries is about to be read: hold what is offered from now on."""
        self._let_go()
        self._joining = True

    def end_page(self, last_id: bytes | None, *, full: bool) -> None:
        """The page was read up to `last_id`. If it was not full, it was the last: caught up."""
        if not self._joining:
            return
        if last_id is not None:
            self.paged_through = last_id
        if full:
            self._let_go()
            return
        self._batches = deque(map(self._after_pages, self._batches))
        self.held = sum(map(len, self._batches))
        self.behind = False
        self._joining = False

    def _after_pages(self, batch: Sequence[Entry]) -> Sequence[Entry]:
        """`batch` without what a page had: its reply may have come after the page was read."""
        through = id_order(self.paged_through)
        if not batch or id_order(batch[0].id) > through:
            return batch
        return [entry for entry in batch if id_order(entry.id) > through]

    def take(self, most: int) -> list[Entry]:
        """Up to `most` entries in the stream's order (always at least one whole batch)."""
        taken: list[Entry] = []
        while self._batches and (not taken or len(taken) + len(self._batches[0]) <= most):
            taken.extend(self._batches.popleft())
        self.held -= len(taken)
        return taken
