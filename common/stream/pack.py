"""The pack: the events that one stream entry carries, one JSON text a line. Pure.

Most of what Redis does for a fix it does for the entry, so an entry carries many. The event's
bytes stand in it unchanged, each on a line of its own: JSON has no raw line break. So the live
value and the customer's frame are slices of the same bytes, and an entry of one event, as older
releases wrote it, is a pack of one.

A pack holds events of one shard. It is accepted as a whole or not at all, and acknowledged when
each of its events is stored or dead-lettered.
"""

from collections.abc import Iterator, Sequence

# Most bytes of a pack, so that an entry fits the 4,096 that Redis and Valkey set aside for a new
# node of a stream. A larger one makes the node's memory move while it is filled, and then the
# server may go on with memory that it has freed (valkey-io/valkey issue 4705): it ends with
# `listpack.c 'p + 1 == lp + bytes'`. The rest is for the entry's own fields. An event alone is a
# pack whatever its length; its fields are bounded well below this.
BYTES_MAX = 4_000
# Most events of a pack: as many of the shortest as fit. This is what one entry that kills a process
# takes along until it has been halved.
EVENTS_MAX = 32

_BREAK = b"\n"


def encode_pack(events: Sequence[bytes]) -> bytes:
    """The bytes of field `e` for events that hold no line break."""
    return _BREAK.join(events) if len(events) > 1 else events[0]


def split_pack(pack: bytes) -> list[bytes]:
    """The events of a pack, in their places; any bytes are a pack of one line or more."""
    return pack.split(_BREAK)


def count_events(pack: bytes) -> int:
    """How many events a pack holds."""
    return pack.count(_BREAK) + 1


def packs_of(
    events: Sequence[bytes], *, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX
) -> Iterator[Sequence[bytes]]:
    """`events` in their order, cut into as few packs as the bounds allow."""
    begin, size = 0, 0
    for place, event in enumerate(events):
        # A line break for each event but the first.
        size += len(event) + 1
        if place > begin and (place - begin >= events_max or size - 1 > bytes_max):
            yield events[begin:place]
            begin, size = place, len(event) + 1
    if begin < len(events):
        yield events[begin:]
