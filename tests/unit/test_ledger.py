"""The ledger: every entry is held, or in a page, or in a page to come."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.history.ledger import Ledger
from consumers.stream.entry import Entry, id_order

EVENTS_MAX = 12


def entry(number):
    return Entry(b"%d-0" % number, None, b"")


class History(RuleBasedStateMachine):
    """Replies may arrive late: what Redis did and what the worker saw are separate steps."""

    def __init__(self):
        super().__init__()
        self.ledger = Ledger(EVENTS_MAX)
        self.delivered = 0
        self.pending = []
        self.unseen = []
        self.page = None
        # Known to nobody but the ledger, because Redis forgot them; and what became of them.
        self.orphans = set()
        self.orphans_stored = self.orphans_lost = 0

    @rule(count=st.integers(1, 5))
    def redis_delivers(self, count):
        batch = [entry(self.delivered + 1 + i) for i in range(count)]
        self.delivered += count
        self.pending += [e.id for e in batch]
        self.unseen.append(batch)

    @precondition(lambda self: self.unseen)
    @rule()
    def live_offers(self):
        self.ledger.offer(self.unseen.pop(0))

    @precondition(lambda self: self.ledger.behind and self.page is None)
    @rule(size=st.integers(1, 8))
    def redis_serves_a_page(self, size):
        self.ledger.begin_page()
        after = id_order(self.ledger.paged_through)
        ids = [i for i in self.pending if id_order(i) > after][:size]
        self.page = (ids, len(ids) == size)

    @precondition(lambda self: self.page is not None)
    @rule()
    def page_is_stored(self):
        ids, full = self.page
        self.page = None
        self._ack(ids)
        self.ledger.end_page(ids[-1] if ids else None, full=full)

    @precondition(lambda self: self.page is None and not self.ledger.behind)
    @rule(most=st.integers(1, 8))
    def a_batch_is_stored(self, most):
        self._ack([e.id for e in self.ledger.take(most)])

    @rule()
    def trouble(self):
        self.page = None
        self.ledger.fall_behind()

    @precondition(lambda self: self.page is None and not self.unseen)
    @rule()
    def redis_forgets(self):
        self.orphans |= set(self._held())
        self.pending = []
        self.ledger.pending_lost()
        assert not self.ledger.behind

    def _held(self):
        return [e.id for batch in self.ledger._batches for e in batch]

    def _ack(self, ids):
        # Stored twice would be a bug here: nothing may be held that a page has stored.
        assert set(ids) <= set(self.pending) | self.orphans
        self.orphans_stored += len(self.orphans & set(ids))
        self.pending = [i for i in self.pending if i not in set(ids)]

    @invariant()
    def bounded(self):
        assert self.ledger.held <= EVENTS_MAX

    @invariant()
    def nothing_is_forgotten(self):
        if self.ledger.behind or self.page is not None:
            return
        held = self._held()
        unseen = [e.id for batch in self.unseen for e in batch]
        assert set(self.pending) <= set(held) | set(unseen)

    @invariant()
    def orphans_are_held_or_stored_or_counted(self):
        self.orphans_lost += self.ledger.orphans_lost()
        held = self.orphans & set(self._held())
        assert len(self.orphans) == self.orphans_stored + self.orphans_lost + len(held)


History.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestLedger = History.TestCase


def test_a_full_ledger_lets_go_and_says_so():
    ledger = Ledger(4)
    ledger.keep_up()
    ledger.offer([entry(1), entry(2)])
    assert ledger.full
    ledger.offer([entry(3), entry(4), entry(5)])
    assert ledger.behind
    assert ledger.held == 0
