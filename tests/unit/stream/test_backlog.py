"""What waits, in fixes, though Redis counts entries."""

from hypothesis import given
from hypothesis import strategies as st

from common.stream.backlog import fixes_waiting, unread_and_pending, unread_entries
from common.stream.pack import EVENTS_MAX

COUNT = st.integers(0, 10**12)
PACKS = st.lists(st.integers(1, EVENTS_MAX), max_size=30)


@given(COUNT, PACKS)
def test_the_totals_say_exactly_what_waits(settled, packs):
    assert fixes_waiting((b"%d" % (settled + sum(packs)), b"%d" % settled), len(packs)) == sum(
        packs
    )


@given(COUNT, COUNT, st.integers(0, 10**6))
def test_wrong_totals_are_bounded_by_the_entries(added, settled, entries):
    """Redis died between an entry and its count, or lost all and got half of it back."""
    assert 0 <= fixes_waiting((added, settled), entries) <= entries * EVENTS_MAX


@given(COUNT)
def test_what_an_older_release_wrote_is_one_fix_an_entry(entries):
    assert fixes_waiting((None, None), entries) == entries


@given(COUNT, COUNT)
def test_while_consumers_of_an_older_release_count_nothing_an_entry_is_a_fix_at_least(
    added, entries
):
    """Entries of its ingest were forgotten as soon as the first of ours was counted."""
    assert entries <= fixes_waiting((added, None), entries) <= entries * EVENTS_MAX


@given(st.sampled_from([b"many", b"-1", b"1e9", b"", b"\xff", "9" * 40]), st.integers(0, 100))
def test_a_total_that_is_no_number_counts_as_none(rubbish, entries):
    """What broke: who looks at a backlog once a second ended with it, and so did its successors."""
    assert fixes_waiting((rubbish, b"7"), entries) == entries
    assert fixes_waiting((b"7", rubbish), entries) == fixes_waiting((b"7", None), entries)


@given(PACKS, PACKS)
def test_unread_and_pending_are_all_that_waits_each_within_the_pending_packs(unread, pending):
    fixes = sum(unread) + sum(pending)
    found = unread_and_pending(fixes, len(unread), len(pending))
    assert sum(found) == fixes
    assert min(found) >= 0
    assert abs(found[1] - sum(pending)) <= len(pending) * EVENTS_MAX


def test_an_unknown_lag_is_what_is_not_pending():
    assert unread_entries(9, 4, 2) == 4
    assert unread_entries(9, None, 2) == 7
    assert unread_entries(1, None, 2) == 0
