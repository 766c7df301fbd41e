"""The format of an entry: what goes in comes out, whatever the bytes, within bounds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.contract import BODY_BYTES_MAX
from common.pack import BYTES_MAX, EVENTS_MAX, count_events, encode_pack, packs_of, split_pack
from consumers.assembly import WorkerPace

LINE = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" "))
LINES = st.lists(LINE, min_size=1, max_size=40)


@given(LINES)
def test_events_come_out_as_they_went_in(events):
    pack = encode_pack(events)
    assert split_pack(pack) == events
    assert count_events(pack) == len(events)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_pack_and_its_lines_make_it_again(raw):
    lines = split_pack(raw)
    assert len(lines) == count_events(raw)
    assert b"\n".join(lines) == raw


@given(LINES, st.integers(1, 8), st.integers(1, 120))
def test_packs_keep_the_order_and_both_bounds(events, events_max, bytes_max):
    packs = [list(p) for p in packs_of(events, events_max=events_max, bytes_max=bytes_max)]
    assert [event for pack in packs for event in pack] == events
    for pack in packs:
        assert 1 <= len(pack) <= events_max
        assert len(pack) == 1 or len(encode_pack(pack)) <= bytes_max


@given(LINES, st.integers(1, 8), st.integers(1, 120))
def test_no_pack_could_have_taken_the_next_event(events, events_max, bytes_max):
    packs = [list(p) for p in packs_of(events, events_max=events_max, bytes_max=bytes_max)]
    for pack, following in pairwise(packs):
        grown = [*pack, following[0]]
        assert len(grown) > events_max or len(encode_pack(grown)) > bytes_max


def test_no_events_are_no_pack():
    assert list(packs_of([])) == []


def test_the_bounds_fit_each_other():
    # Halving by place ends after whole steps.
    assert EVENTS_MAX & (EVENTS_MAX - 1) == 0
    # A full pack of usual events, of 220 bytes and a line break, is half of the bytes.
    assert 2 * EVENTS_MAX * 221 <= BYTES_MAX
    # Several packs make a page, so that a page is not overshot by much.
    assert WorkerPace().page_fixes >= 4 * EVENTS_MAX
    # The largest fix that ingest takes by default leaves room for others.
    assert 4 * BODY_BYTES_MAX <= BYTES_MAX
