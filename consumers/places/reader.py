"""Reads the streams of some shards, a page of each at a time.

Nothing is acknowledged, so there is no group: how far each stream was read is stored with what
came of it, and `holding` tells those who trim the streams.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import hiredis

from common.errors import Overloaded
from common.event import EPOCH, LocationEvent
from common.ids import is_id
from common.keys import ShardKeys
from common.redis.cluster.each_server import ask_each
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire
from common.shards import Shards
from consumers.stream.barrier import CLOSED_ID
from consumers.stream.entry import PlacedEvent, decode_page, entries_of, id_order
from consumers.stream.groups import START, is_beyond, is_key_missing
from consumers.stream.page import BatchLimits, PageCount, batches_of

# Fixes of a page: less than a tenth of a second of work.
PAGE_FIXES = 4_000


class ShardPage(NamedTuple):
    """What was read of a shard. `clock`: all that was added to its stream by then has been read.

    `is_full`: there may be more.
    """

    shard: int
    placed: Sequence[PlacedEvent]
    entries: int
    clock: datetime
    is_full: bool

    @property
    def fixes(self) -> list[LocationEvent]:
        """The fixes alone."""
        return [placed.event for placed in self.placed]


class ReadTo(NamedTuple):
    """How far a stream was read: the id of the last entry, and how many entries were added to the
    stream up to it, as Redis counts them.
    """

    entry_id: bytes = START
    entries: int = 0


class StreamReader:
    """Reads on in each stream from where `places` stand, by shard. Raises `Overloaded` or
    `hiredis.ReplyError`.
    """

    def __init__(self, nodes: Nodes, shards: Shards, places: dict[int, ReadTo]) -> None:
        self._nodes = nodes
        self._shards = shards
        self.places = places
        self._limits = BatchLimits(PAGE_FIXES)
        self._counts = {shard: PageCount(self._limits) for shard in places}
        # Shards whose streams take no more, since their number changes.
        self._closed: set[int] = set()

    async def read(self) -> list[ShardPage]:
        """A page of each stream; its place is behind it then. Of a cluster without those whose
        server does not answer.
        """
        now = datetime.now(UTC)
        asked = {shard: self._counts[shard].entries for shard in self.places}
        by_wire: dict[Wire, list[int]] = {}
        for shard in asked:
            by_wire.setdefault(self._wire(shard), []).append(shard)
        answers = await ask_each(
            self._nodes,
            {w: [self._reading(shard, asked[shard]) for shard in by_wire[w]] for w in by_wire},
        )
        return [
            self._page(shard, reply, now, asked[shard])
            for wire, replies in answers.items()
            for shard, reply in zip(by_wire[wire], replies, strict=True)
        ]

    def _reading(self, shard: int, count: int) -> Command:
        after = self.places[shard].entry_id
        return ("XREAD", "COUNT", count, "STREAMS", self._keys(shard).stream, after)

    def _page(self, shard: int, reply: Reply, now: datetime, asked: int) -> ShardPage:
        came = entries_of(reply)
        if shard in self._closed:
            # What came since is in other shards, and is not read yet.
            now = _moment(came[-1].id if came else self.places[shard].entry_id)
        if not came:
            return ShardPage(shard, (), 0, now, is_full=False)
        self._counts[shard].came(came)
        # What is too much for one turn is read again.
        entries = next(batches_of(came, self._limits))
        is_full = len(came) == asked or len(entries) < len(came)
        last_id = entries[-1].id
        clock = _moment(last_id) if is_full else now
        self.places[shard] = ReadTo(last_id, self.places[shard].entries + len(entries))
        # What cannot be decoded, or is no driver's that ingest would take, is passed over: the
        # database might refuse it (a NUL in a name), and the history dead-letters it.
        placed = [each for each in decode_page(entries).events if is_id(each.event.driver_id)]
        return ShardPage(shard, placed, len(entries), clock, is_full)

    async def check(self) -> dict[int, int]:
        """Entries that were trimmed, or deleted, before they were read, by shard; each once.

        To be asked before the first read. A stream that began anew, as after a flush, is read from
        its beginning.
        """
        missed = {}
        for shard, place in list(self.places.items()):
            try:
                facts = await self._wire(shard).send("XINFO", "STREAM", self._keys(shard).stream)
            except hiredis.ReplyError as e:
                if not is_key_missing(e):
                    raise
                continue
            except Overloaded:
                if not self._nodes.is_cluster:
                    raise
                continue
            named = dict(zip(*[iter(facts)] * 2, strict=True))
            if named[b"last-generated-id"] == CLOSED_ID:
                self._closed.add(shard)
            self.places[shard], count = checked(place, named)
            if count:
                missed[shard] = count
        return missed

    def _keys(self, shard: int) -> ShardKeys:
        return self._shards[shard].keys

    def _wire(self, shard: int) -> Wire:
        return self._nodes.wire(self._shards[shard])


def _moment(entry_id: bytes) -> datetime:
    """When an entry was added."""
    return EPOCH + timedelta(milliseconds=id_order(entry_id)[0])


def checked(place: ReadTo, facts: Mapping[bytes, Reply]) -> tuple[ReadTo, int]:
    """The place in a stream of which Redis says `facts` (XINFO STREAM), and the entries after it
    that are not there any more. Pure.
    """
    if is_beyond(place.entry_id, facts[b"last-generated-id"]):
        place = ReadTo()
    added, length = facts.get(b"entries-added"), facts[b"length"]
    if added is None:
        # Redis before 7 does not count.
        return place, 0
    first: bytes = facts[b"recorded-first-entry-id"]
    if length and not is_beyond(first, place.entry_id):
        # What was read last is still there, and so is all after it.
        return place, 0
    # Nothing that is there was read.
    read = added - length
    if place.entry_id == START or added < place.entries:
        # The first time; or Redis counts anew.
        return place._replace(entries=read), 0
    return place._replace(entries=read), max(0, read - place.entries)
