"""Raw entries to entries. What cannot be decoded is dead-lettered at once."""

from collections.abc import Sequence

from common.errors import PoisonEntry
from common.event import decode_event
from consumers.dead_letter import DeadLetters, Letter, driver_in
from consumers.entry import Entry, RawEntry
from consumers.reader import Reader


async def decode_entries(
    page: Sequence[RawEntry], reader: Reader, dead: DeadLetters
) -> list[Entry]:
    """Decode a page. Raises what `DeadLetters.bury` and `Reader.ack` raise."""
    entries: list[Entry] = []
    letters: list[Letter] = []
    vanished: list[bytes] = []
    for entry_id, payload in page:
        if payload is None:
            vanished.append(entry_id)
            continue
        try:
            entries.append(Entry(entry_id, decode_event(payload), payload))
        except PoisonEntry as e:
            letters.append(Letter(entry_id, payload, driver_in(payload), e.reason, e.detail, "", 1))
    if letters:
        await dead.bury(letters)
    if vanished:
        reader.say_lost(vanished)
        await reader.ack(vanished)
    return entries
