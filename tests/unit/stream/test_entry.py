"""Packs are taken apart the same way, whether all lines are read at once or one at a time."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PoisonEntry
from common.event import LocationUpdate, decode_event, encode_event
from common.stream.pack import encode_pack
from consumers.stream.entry import Entry, decode_page, decode_part, positions_of

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
UPDATE = LocationUpdate(latitude=1.5, longitude=-2.5, speed=3.0)


def good(number: int) -> bytes:
    return encode_event(f"d{number % 5}", UPDATE, NOW + timedelta(seconds=number), NOW)


def bad(**values: object) -> bytes:
    return json.dumps({**json.loads(good(1)), **values}).encode()


POISON = (
    b"",
    b"  ",
    b"{}",
    b"\xff\x00",
    b"[" * 3000,
    good(1) + good(2),
    good(1) + b" " + good(2),
    good(1)[:40],
    bad(latitude=91.0),
    bad(longitude=-181.0),
    bad(driver_id=""),
    bad(order_id="x" * 65),
    bad(recorded_at="2026-01-01T00:00:00"),
    bad(received_at="0001-01-01T00:00:00+05:00"),
    bad(recorded_at="9999-12-31T23:59:59-05:00"),
)
LINES = st.integers(0, 99).map(good) | st.sampled_from(POISON)
PACKS = st.lists(
    st.none() | st.lists(st.integers(0, 99).map(good), min_size=1, max_size=20)
    | st.lists(LINES, min_size=1, max_size=12),
    max_size=6,
)  # fmt: skip


def is_good(line: bytes) -> bool:
    try:
        decode_event(line)
    except PoisonEntry:
        return False
    return True


# A busy machine is no failure.
@settings(deadline=None)
@given(PACKS)
def test_each_line_has_its_own_fate_and_its_own_bytes(packs: list[list[bytes] | None]) -> None:
    entries = [
        Entry(b"%d-0" % n, None if lines is None else encode_pack(lines))
        for n, lines in enumerate(packs)
    ]
    page = decode_page(entries)
    placed = {
        position: line
        for entry, lines in zip(entries, packs, strict=True)
        if lines is not None
        for position, line in zip(positions_of(entry.id, len(lines)), lines, strict=True)
    }
    assert {x.position: x.payload for x in page.events} == {
        position: line for position, line in placed.items() if is_good(line)
    }
    assert {x.position: x.payload for x in page.undecodable} == {
        position: line for position, line in placed.items() if not is_good(line)
    }
    assert all(x.event == decode_event(x.payload) for x in page.events)
    assert page.vanished == [entry.id for entry in entries if entry.pack is None]
    assert [x.position for x in page.events] == [p for p, line in placed.items() if is_good(line)]
    assert sum(entry.fixes for entry in entries) == len(placed)


@given(st.lists(LINES, min_size=1, max_size=12), st.data())
def test_parts_are_the_whole_and_what_is_skipped_is_not_looked_into(
    lines: list[bytes], data: st.DataObject
) -> None:
    entry = Entry(b"7-1", encode_pack(lines))
    cut = data.draw(st.integers(0, len(lines)))
    skip = data.draw(st.sets(st.sampled_from([p.name for p in positions_of(b"7-1", len(lines))])))
    whole = decode_page([entry], skip)
    parts = [decode_part(entry, 0, cut, skip), decode_part(entry, cut, len(lines), skip)]
    for name in ("events", "undecodable", "skipped"):
        assert getattr(whole, name) == [x for part in parts for x in getattr(part, name)]
    assert {position.name for position, _ in whole.skipped} == skip


def test_a_position_is_named_by_its_place_only_where_there_are_several() -> None:
    assert [p.name for p in positions_of(b"5-0", 1)] == [b"5-0"]
    assert [p.name for p in positions_of(b"5-0", 3)] == [b"5-0/0", b"5-0/1", b"5-0/2"]
