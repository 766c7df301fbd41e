"""The fixes of one database, where a shard's drivers are in several. Pure.

Every group of the stream reads all entries and leaves out the fixes of other groups. A fix that is
left keeps its place in the pack, so that its dead letter has the same name in every group. What
names no driver is the first group's, so each fix is exactly one group's.
"""

from common.databases.placing import database_of
from common.stream.dead_letter import driver_in
from common.stream.pack import encode_pack, split_pack
from consumers.stream.entry import Entry, PickedEntry

# How an event begins (`common.event.encode_event`); an id has no character that JSON escapes.
_HEAD = b'{"driver_id":"'


class OwnFixes:
    """Picks those of `database`. `of_shard`: all that the shard's drivers are in; `databases`: how
    many there are.
    """

    def __init__(self, database: int, of_shard: tuple[int, ...], databases: int) -> None:
        self._database = database
        self._of_shard = of_shard
        self._databases = databases

    def pick(self, entry: Entry) -> Entry:
        """The entry with these alone; the same where all are."""
        if entry.pack is None:
            return entry
        lines = split_pack(entry.pack)
        own = [place for place, line in enumerate(lines) if self._owns(line)]
        if len(own) == len(lines):
            return entry
        pack = encode_pack([lines[place] for place in own]) if own else b""
        return PickedEntry(entry.id, pack, tuple(own))

    def _owns(self, line: bytes) -> bool:
        found = database_of(_driver_of(line), self._databases)
        return (found if found in self._of_shard else self._of_shard[0]) == self._database


def _driver_of(line: bytes) -> str:
    if line.startswith(_HEAD):
        name = line[len(_HEAD) : line.find(b'"', len(_HEAD))]
        if b"\\" not in name:
            return name.decode("utf-8", "replace")
    return driver_in(line)
