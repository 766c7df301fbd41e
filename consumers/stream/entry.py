"""Entries: what a stream holds, and the events in them. Pure.

An entry has an id and a pack, one event a line; this is the only place that takes a pack apart.
An event's position is the id of its entry and its place in the pack.
"""

from collections.abc import Iterable
from typing import NamedTuple

from common.errors import PoisonEntry
from common.event import LocationEvent, decode_event
from common.keys import ENTRY_FIELD
from common.redis.wire import Reply

# As in common.event.ID_PATTERN.
ID_CHARS_MAX = 64
# Years that a time in UTC can be computed of, whatever its offset.
YEAR_MIN, YEAR_MAX = 2, 9998

_FIELD = ENTRY_FIELD.encode()


class Entry(NamedTuple):
    """An entry as read. `pack` is None when Redis deleted it before it was acknowledged."""

    id: bytes
    pack: bytes | None


class StreamPosition(NamedTuple):
    """Where an event stands: the id of its entry, and its place in the entry's pack."""

    entry_id: bytes
    place: int


class PlacedEvent(NamedTuple):
    """An event with its position (flat, because millions are made) and its bytes."""

    entry_id: bytes
    place: int
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
    """What the entries of a page hold. `vanished`: ids of entries that were deleted."""

    events: list[PlacedEvent]
    undecodable: list[Undecodable]
    vanished: list[bytes]


def decode_page(entries: Iterable[Entry]) -> DecodedPage:
    """Take entries apart; each event is judged alone."""
    page = DecodedPage([], [], [])
    events = page.events
    for entry_id, pack in entries:
        if pack is None:
            page.vanished.append(entry_id)
            continue
        for place, payload in enumerate(lines_of(pack)):
            try:
                event = decode_event(payload)
                if not is_sound(event):
                    raise PoisonEntry("undecodable", "a value that ingest would have refused")
            except PoisonEntry as e:
                position = StreamPosition(entry_id, place)
                page.undecodable.append(Undecodable(position, payload, e.detail))
            else:
                events.append(PlacedEvent(entry_id, place, event, payload))
    return page


def lines_of(pack: bytes) -> tuple[bytes, ...]:
    """The events of a pack."""
    return (pack,)


def is_sound(event: LocationEvent) -> bool:
    """Whether ingest can have made it. On the hot path, so only what does harm is looked at.

    Somebody else may write to the stream. A time without a zone would crash the worker when it is
    compared, one longitude of 500 would make Redis refuse the positions of all drivers beside it,
    an id has no room to be long in an index, and a year 1 with an offset has no day in UTC.
    """
    recorded_at, received_at = event.recorded_at, event.received_at
    return (
        -90 <= event.latitude <= 90
        and -180 <= event.longitude <= 180
        and recorded_at.tzinfo is not None
        and received_at.tzinfo is not None
        and YEAR_MIN <= recorded_at.year <= YEAR_MAX
        and YEAR_MIN <= received_at.year <= YEAR_MAX
        and 0 < len(event.driver_id) <= ID_CHARS_MAX
        and (event.order_id is None or 0 < len(event.order_id) <= ID_CHARS_MAX)
    )


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
