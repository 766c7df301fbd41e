"""How far the stream is cut, and where the live stage begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.stream.entry import id_order, next_id, previous_id
from consumers.stream.groups import (
    START,
    GroupPlace,
    find_group,
    groups_of,
    horizon,
    is_beyond,
    live_start,
    named_groups,
    needed_from,
    waiting_in,
)

IDS = st.tuples(st.integers(0, 10**13), st.integers(0, 2**63)).map(lambda t: b"%d-%d" % t)


def test_groups_are_read_from_the_answer():
    reply = [
        [b"name", b"a", b"pending", 2, b"last-delivered-id", b"5-0", b"lag", 7],
        [b"name", b"b", b"pending", 0, b"last-delivered-id", b"0-0", b"lag", None],
    ]
    groups = groups_of(reply)
    assert groups == [GroupPlace(b"a", 2, b"5-0", 7), GroupPlace(b"b", 0, b"0-0", None)]
    assert find_group(groups, "b") == groups[1]
    assert find_group(groups, "c") is None
    assert waiting_in(groups[0], 100) == 7
    # Redis forgot the lag: an upper bound.
    assert waiting_in(groups[1], 100) == 100


@pytest.mark.parametrize(
    ("field", "names"),
    [(None, set()), (b"", set()), (b" a , b,,", {b"a", b"b"}), (b"x y", {b"x y"})],
)
def test_groups_that_count_are_named(field, names):
    assert named_groups(field) == names


@given(IDS)
def test_ids_before_and_after(entry_id):
    assert id_order(next_id(entry_id)) > id_order(entry_id)
    assert previous_id(next_id(entry_id)) == entry_id
    assert id_order(previous_id(entry_id)) <= id_order(entry_id)


@given(
    st.lists(st.tuples(IDS, st.none() | IDS), min_size=1, max_size=4),
    IDS,
    IDS,
)
def test_nothing_is_cut_that_a_group_or_the_live_stage_still_needs(groups, live_through, entry_id):
    places = [GroupPlace(b"", 0, delivered, 0) for delivered, _ in groups]
    needed = [
        needed_from(place, pending) for place, (_, pending) in zip(places, groups, strict=True)
    ]
    cut = id_order(horizon(needed, live_through))
    order = id_order(entry_id)
    for delivered, pending in groups:
        is_unread = pending is None and order > id_order(delivered)
        is_pending = pending is not None and order >= id_order(pending)
        if is_unread or is_pending:
            assert order >= cut
    if order > id_order(live_through):
        assert order >= cut
    # Everything else goes: the cut is no smaller than it must be.
    assert cut in {*map(id_order, needed), id_order(next_id(live_through))}


@pytest.mark.parametrize(
    ("saved", "needed", "last_generated", "start"),
    [
        # Where the predecessor was.
        (b"5-0", b"2-0", b"9-0", b"5-0"),
        (b"9-0", None, b"9-0", b"9-0"),
        # The first start with a cursor: behind what the history has acknowledged.
        (None, b"5-1", b"9-0", b"5-0"),
        (None, None, b"9-0", START),
        # Redis does not say.
        (b"5-0", None, None, b"5-0"),
        (None, b"5-1", None, b"5-0"),
        # Redis was emptied: the stream is gone, or began anew with a clock that is behind.
        (b"5-0", None, START, START),
        (b"5-0", None, b"4-7", START),
    ],
)
def test_where_the_live_stage_begins(saved, needed, last_generated, start):
    assert live_start(saved, needed, last_generated) == start


@given(IDS, IDS)
def test_a_cursor_is_never_beyond_the_stream(saved, last_generated):
    assert not is_beyond(live_start(saved, None, last_generated), last_generated)
