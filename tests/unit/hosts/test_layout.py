"""Layouts of shards, what they mean for a driver, and what Redis keeps of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.layout import SHARDS_MAX, Layout, Layouts, UnreadableLayout, kin, read_layouts
from common.processes.heartbeat import REPORT_BYTES_MAX
from common.shards import Shards
from consumers.sharing.orders import encode_orders, read_orders
from consumers.stream.barrier import is_shown

LAYOUTS = st.builds(Layout, st.integers(1, 32), st.integers(1, 9))


@given(LAYOUTS)
def test_a_layout_is_read_as_it_was_written(layout):
    assert Layout.parse(str(layout)) == layout


@pytest.mark.parametrize(
    ("fields", "layouts"),
    [
        ((None,) * 6, None),
        (("4", None, None, None, None, None), Layouts(Layout(4))),
        ((b"4", b"1", b"16", b"2", None, None), Layouts(Layout(4), coming=Layout(16, 2))),
        (("16", "2", None, None, "4", "1"), Layouts(Layout(16, 2), before=Layout(4))),
    ],
)
def test_what_the_hash_says(fields, layouts):
    assert read_layouts(fields) == layouts


def test_the_newest_is_the_one_that_is_coming_and_it_leaves_the_one_that_is_written():
    coming = Layouts(Layout(4), coming=Layout(16, 2))
    assert (coming.newest, coming.older) == (Layout(16, 2), Layout(4))
    switched = Layouts(Layout(16, 2), before=Layout(4))
    assert (switched.newest, switched.older) == (Layout(16, 2), Layout(4))
    assert Layouts(Layout(4)).older is None


@given(LAYOUTS, st.integers(1, 32))
def test_two_layouts_have_no_key_in_common(layout, count):
    shards = Shards("driver-locations", *layout, Layout(count, layout.epoch + 1))
    keys = [getattr(s.keys, name) for s in shards.all for name in s.keys.__slots__]
    assert len(keys) == len(set(keys))
    assert len(shards.all) == layout.shards + count
    assert shards.of("d1") in set(shards)


def test_workers_are_told_their_layout_and_the_one_that_they_leave():
    shards = Shards("driver-locations", 2, 2, Layout(1))
    # What broke: the first layout's were told no layout, and SHARDS may be another number by now.
    assert read_orders(encode_orders(shards, shards.all)) == {
        "consumer-2.0": ["--shard", "0", "--layout", "2:2", "--older", "1:1"],
        "consumer-2.1": ["--shard", "1", "--layout", "2:2", "--older", "1:1"],
        "consumer-0": ["--shard", "0", "--layout", "1:1"],
    }
    assert read_orders(encode_orders(Shards("driver-locations", 1), ())) == {}
    assert read_orders(b'{"other":1}') is None


def test_a_supervisor_hears_of_all_the_shards_that_there_may_be_twice():
    """From 900 on the message was longer than one may be, and the host ran what it had run."""
    shards = Shards("driver-locations", SHARDS_MAX, 7, Layout(SHARDS_MAX, 6))
    message = encode_orders(shards, shards.all)
    assert len(message) <= REPORT_BYTES_MAX
    assert len(read_orders(message) or ()) == 2 * SHARDS_MAX


FIELD = st.none() | st.binary(max_size=20) | st.from_regex(rb"[0-9]{1,8}", fullmatch=True)


@given(st.lists(FIELD, min_size=6, max_size=6))
def test_whatever_the_hash_says_is_layouts_that_can_be_or_unreadable(fields):
    try:
        layouts = read_layouts(fields)
    except UnreadableLayout as e:
        assert "fleetline:meta" in str(e)
        assert str(e).isprintable()
        return
    assert (layouts is None) == (fields[0] is None)
    there = [layout for layout in layouts or () if layout is not None]
    assert all(1 <= layout.shards <= SHARDS_MAX for layout in there)
    assert len({layout.epoch for layout in there}) == len(there) < 3


@pytest.mark.parametrize(
    "fields",
    [
        ("0", None, None, None, None, None), ("-4", None, None, None, None, None),
        ("1_6", None, None, None, None, None), ("\u0664", None, None, None, None, None),
        ("4", "", None, None, None, None), ("4", "1", "16", "1", None, None),
        ("4", "2", "16", "3", "8", "1"), ("10000000000", None, None, None, None, None),
    ],
)  # fmt: skip
def test_what_is_no_layout_is_not_taken_for_one(fields):
    with pytest.raises(UnreadableLayout):
        read_layouts(fields)


@pytest.mark.parametrize(
    ("closed", "cursor", "length", "shown"),
    [
        (None, b"5-0", 1, False), (b"5-1", b"5-0", 1, False), (b"5-1", b"5-1", 1, True),
        (b"5-1", b"10-0", 1, True), (b"5-1", None, 1, False), (b"0-0", None, 0, True),
        (None, b"5-0", 0, False), (b"5-1", b"5-0", 0, True), (b"5-1", None, 0, True),
    ],
)  # fmt: skip
def test_a_stream_is_shown_once_it_has_an_end_and_that_was_read(closed, cursor, length, shown):
    assert is_shown(closed, cursor, length) is shown


@given(LAYOUTS, st.integers(1, 32), st.lists(st.text("abc123", min_size=1), max_size=60))
def test_a_shard_has_drivers_of_its_kin_alone(layout, count, drivers):
    shards = Shards("driver-locations", count, layout.epoch + 1, layout)
    older = shards.older
    assert older is not None
    for driver in drivers:
        shard, before = shards.of(driver), older.of(driver)
        assert before in shards.sources(shard.index)
        assert shard.index in kin(before.index, older.count, count)
        assert shards.concerned_by({before}) == set(kin(before.index, older.count, count))
    assert shards.concerned_by(set(shards)) == set(range(count))


def test_kin_are_no_more_than_that_takes():
    assert list(kin(5, 16, 4)) == [1]
    assert list(kin(1, 4, 16)) == [1, 5, 9, 13]
    assert list(kin(2, 16, 8)) == [2]
    assert list(kin(0, 9, 4)) == [0, 1, 2, 3]


def test_no_two_shards_of_two_layouts_have_one_name():
    shards = Shards("driver-locations", 3, 2, Layout(3))
    assert [shard.name for shard in shards.all] == ["2.0", "2.1", "2.2", "0", "1", "2"]
    assert shards.alone.older is None
