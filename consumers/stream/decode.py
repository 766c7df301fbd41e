"""Raw entries to entries. What cannot be decoded is dead-lettered at once.

So is what decodes and could not have passed ingest: somebody else wrote to the stream. A time
without a zone would crash the worker when it is compared, one longitude of 500 would make Redis
refuse the positions of all drivers beside it, and an id has no room to be long in an index.
"""

from collections.abc import Sequence

from common.dead_letter import DeadLetter, driver_in
from common.errors import PoisonEntry
from common.event import LocationEvent, decode_event
from consumers.stream.dead_letter import DeadLetters
from consumers.stream.entry import Entry, RawEntry
from consumers.stream.reader import Reader

# As in common.event.ID_PATTERN.
ID_CHARS_MAX = 64


def is_sound(event: LocationEvent) -> bool:
    """Whether ingest can have made it. On the hot path, so only what does harm is looked at."""
    return (
        -90 <= event.latitude <= 90
        and -180 <= event.longitude <= 180
        and event.recorded_at.tzinfo is not None
        and event.received_at.tzinfo is not None
        and 0 < len(event.driver_id) <= ID_CHARS_MAX
        and (event.order_id is None or 0 < len(event.order_id) <= ID_CHARS_MAX)
    )


def _decode(payload: bytes) -> LocationEvent:
    event = decode_event(payload)
    if not is_sound(event):
        raise PoisonEntry("undecodable", "a value that ingest would have refused")
    return event


async def decode_entries(
    page: Sequence[RawEntry], reader: Reader, dead: DeadLetters
) -> list[Entry]:
    """Decode a page. Raises what `DeadLetters.bury` and `Reader.ack` raise."""
    entries: list[Entry] = []
    letters: list[DeadLetter] = []
    vanished: list[bytes] = []
    for entry_id, payload in page:
        if payload is None:
            vanished.append(entry_id)
            continue
        try:
            entries.append(Entry(entry_id, _decode(payload), payload))
        except PoisonEntry as e:
            driver_id = driver_in(payload)
            letters.append(DeadLetter(entry_id, payload, driver_id, e.reason, e.detail, attempts=1))
    if letters:
        await dead.bury(letters)
    if vanished:
        reader.say_lost(vanished)
        await reader.ack(vanished)
    return entries
