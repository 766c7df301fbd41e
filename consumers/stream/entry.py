"""Entries: what a stream holds, and the events in them. Pure.

An entry has an id and a pack, one event a line; this is the only place that takes a pack apart.
An event's position is the id of its entry and its place in the pack.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Self

from common.errors import PoisonEntry
from common.event import LocationEvent, decode_event, decode_events
from common.keys import ENTRY_FIELD
from common.redis.wire import Reply
from common.stream.pack import count_events, split_pack

_FIELD = ENTRY_FIELD.encode()
_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")


class Entry(NamedTuple):
    """An entry as read. `pack` is None when Redis deleted it before it was acknowledged."""

    id: bytes
    pack: bytes | None

    @property
    def fixes(self) -> int:
        """Events in its pack, sound or not; 0 without a pack."""
        return 0 if self.pack is None else count_events(self.pack)

    @property
    def lines(self) -> list[bytes]:
        """The events in its pack, which there is."""
        return split_pack(self.pack or b"")

    @property
    def positions(self) -> "list[StreamPosition]":
        """Where they stand."""
        return positions_of(self.id, self.fixes)


class PickedEntry(Entry):
    """One of whose pack only the events at `places` are left (`consumers.history.own_fixes`)."""

    places: tuple[int, ...]

    def __new__(cls, entry_id: bytes, pack: bytes, places: tuple[int, ...]) -> Self:
        """What is left, and where it stands in the stream."""
        entry = super().__new__(cls, entry_id, pack)
        entry.places = places
        return entry

    @property
    def fixes(self) -> int:
        """Events that are left, which may be none."""
        return len(self.places)

    @property
    def lines(self) -> list[bytes]:
        """These events."""
        return super().lines if self.places else []

    @property
    def positions(self) -> "list[StreamPosition]":
        """Where they stand in the whole pack."""
        return [StreamPosition(self.id, place) for place in self.places]


class StreamPosition(NamedTuple):
    """Where an event stands: the id of its entry, and its place in the entry's pack.

    `place` is None where the event is all that the entry holds.
    """

    entry_id: bytes
    place: int | None

    @property
    def name(self) -> bytes:
        """As a dead letter is called: `<entry id>`, with `/<place>` where there are several."""
        return self.entry_id if self.place is None else b"%s/%d" % (self.entry_id, self.place)


class PlacedEvent(NamedTuple):
    """An event with its position (flat, because millions are made) and its bytes."""

    entry_id: bytes
    place: int | None
    event: LocationEvent
    payload: bytes

    @property
    def position(self) -> StreamPosition:
        """Where it stands."""
        return StreamPosition(self.entry_id, self.place)


class Undecodable(NamedTuple):
    """Bytes that are no event, and why."""

    position: StreamPosition
    payload: bytes
    detail: str


class DecodedPage(NamedTuple):
    """What entries hold. `skipped`: what must not be looked into. `vanished`: ids of entries that
    were deleted.
    """

    events: list[PlacedEvent]
    undecodable: list[Undecodable]
    skipped: list[tuple[StreamPosition, bytes]]
    vanished: list[bytes]


def decode_page(
    entries: Iterable[Entry], skip: Collection[bytes] = (), *, picked: bool = False
) -> DecodedPage:
    """Take entries apart; each event is judged alone. `skip`: names of positions; `picked`: some
    entries are.
    """
    page = DecodedPage([], [], [], [])
    skipped_ids = {name.partition(b"/")[0] for name in skip}
    for entry in entries:
        if entry.pack is None:
            page.vanished.append(entry.id)
            continue
        if picked and isinstance(entry, PickedEntry):
            _decode_lines(page, entry.positions, entry.lines, skip)
            continue
        lines = split_pack(entry.pack)
        events = None if entry.id in skipped_ids else decode_events(entry.pack, len(lines))
        if events is None:
            _decode_lines(page, positions_of(entry.id, len(lines)), lines, skip)
        elif len(lines) == 1:
            page.events.append(PlacedEvent(entry.id, None, events[0], entry.pack))
        else:
            page.events.extend(_placed(entry.id, events, lines))
    return page


def decode_part(entry: Entry, begin: int, end: int, skip: Collection[bytes] = ()) -> DecodedPage:
    """The same for the events from place `begin` to before `end` of one entry's pack."""
    page = DecodedPage([], [], [], [])
    if entry.pack is None:
        page.vanished.append(entry.id)
        return page
    _decode_lines(page, entry.positions[begin:end], entry.lines[begin:end], skip)
    return page


def positions_of(entry_id: bytes, count: int) -> list[StreamPosition]:
    """The positions of the events in an entry that holds so many."""
    if count == 1:
        return [StreamPosition(entry_id, None)]
    return [StreamPosition(entry_id, place) for place in range(count)]


def _placed(
    entry_id: bytes, events: Sequence[LocationEvent], lines: Sequence[bytes]
) -> Iterator[PlacedEvent]:
    # Made as a plain tuple is: half of the cost of calling the class.
    make = tuple.__new__
    for place, (event, line) in enumerate(zip(events, lines, strict=True)):
        yield make(PlacedEvent, (entry_id, place, event, line))


def _decode_lines(
    page: DecodedPage,
    positions: Sequence[StreamPosition],
    lines: Sequence[bytes],
    skip: Collection[bytes],
) -> None:
    for position, line in zip(positions, lines, strict=True):
        if skip and position.name in skip:
            page.skipped.append((position, line))
            continue
        try:
            event = decode_event(line)
        except PoisonEntry as e:
            page.undecodable.append(Undecodable(position, line, e.detail))
        else:
            page.events.append(PlacedEvent(*position, event, line))


def entries_of(reply: Reply) -> list[Entry]:
    """The entries in an answer to XREAD or XREADGROUP of one stream."""
    return entries_in(reply[0][1]) if reply else []


def entries_in(rows: Reply) -> list[Entry]:
    """The entries in a list of ids and fields."""
    return [Entry(entry_id, _pack(fields)) for entry_id, fields in rows]


def _pack(fields: list[bytes] | None) -> bytes | None:
    if fields is None:
        return None
    if len(fields) == 2 and fields[0] == _FIELD:
        return fields[1]
    # Not written by us. Kept readable, so that the dead letter shows what it was.
    return b" ".join(fields)


# The largest sequence number of an id.
_SEQUENCE_MAX = 2**64 - 1


def id_order(entry_id: bytes) -> tuple[int, int]:
    """A stream id (`<ms>-<sequence>`) as numbers, which compare in the stream's order."""
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence)


def read_id(text: bytes | None) -> bytes | None:
    """A stream id that was kept somewhere; None where there is none, or what is none."""
    return text if text is not None and _ID.fullmatch(text) else None


def next_id(entry_id: bytes) -> bytes:
    """The smallest id after `entry_id`."""
    ms, sequence = id_order(entry_id)
    return b"%d-%d" % (ms, sequence + 1)


def previous_id(entry_id: bytes) -> bytes:
    """The largest id before `entry_id`; of the first id, the first."""
    ms, sequence = id_order(entry_id)
    if sequence:
        return b"%d-%d" % (ms, sequence - 1)
    return b"%d-%d" % (ms - 1, _SEQUENCE_MAX) if ms else b"0-0"
