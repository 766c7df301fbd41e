"""The format of an entry: what goes in comes out, whatever the bytes, within bounds."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.event import LocationUpdate, encode_event
from common.stream.pack import (
    BYTES_MAX,
    EVENTS_MAX,
    count_events,
    encode_pack,
    packs_of,
    split_pack,
)
from consumers.assembly import WorkerPace

LINE = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" "))
LINES = st.lists(LINE, min_size=1, max_size=40)
THEN = datetime(2026, 1, 1, tzinfo=UTC)
SHORTEST = encode_event("d", LocationUpdate(latitude=1.0, longitude=2.0), THEN, THEN)
# Numbers as long as they get, ids too.
LONGEST = encode_event(
    "d" * 128,
    LocationUpdate(
        latitude=-1.2345678901234567e-300,
        longitude=-1.2345678901234567e-300,
        speed=1.2345678901234567e-300,
        heading=1.2345678901234567e-300,
        accuracy=1.2345678901234567e-300,
        order_id="o" * 128,
        altitude=-1.2345678901234567e-300,
        battery=1.2345678901234567e-300,
    ),
    THEN.replace(microsecond=123_456),
    THEN.replace(microsecond=123_456),
)


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
    # Bytes cut packs first, also of the shortest events.
    assert EVENTS_MAX * (len(SHORTEST) + 1) > BYTES_MAX
    # Several packs make a page, so that a page is not overshot by much.
    assert WorkerPace().page_fixes >= 4 * EVENTS_MAX
    # The longest event is a pack within the bound.
    assert len(LONGEST) <= BYTES_MAX
