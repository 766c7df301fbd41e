"""Reads the streams of some shards, a page of each at a time.

Nothing is acknowledged, so there is no group: how far each stream was read is stored with what
came of it, and `holding` tells those who trim the streams.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import hiredis

from common.event import EPOCH, LocationEvent
from common.keys import ShardKeys
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire
from common.shards import Shards
from consumers.stream.entry import decode_page, entries_of, id_order
from consumers.stream.groups import START, is_beyond, is_key_missing
from consumers.stream.page import BatchLimits, PageCount, batches_of

# Fixes of a page: less than a tenth of a second of work.
PAGE_FIXES = 4_000


class ShardPage(NamedTuple):
    """What was read of a shard. `clock`: all that was added to its stream by then has been read.

    `is_full`: there may be more.
    """

    shard: int
    fixes: Sequence[LocationEvent]
    entries: int
    clock: datetime
    is_full: bool


class StreamReader:
    """Reads on in each stream from where `through` stands. Raises `Overloaded` or
    `hiredis.ReplyError`.
    """

    def __init__(self, nodes: Nodes, shards: Shards, through: dict[int, bytes]) -> None:
        self._nodes = nodes
        self._shards = shards
        self.through = through
        self._limits = BatchLimits(PAGE_FIXES)
        self._counts = {shard: PageCount(self._limits) for shard in through}
        # Ids that were deleted unread, as far as that was said.
        self._said: dict[int, bytes] = {}

    async def read(self) -> list[ShardPage]:
        """A page of each stream; `through` stands behind it then."""
        now = datetime.now(UTC)
        asked = {shard: self._counts[shard].entries for shard in self.through}
        replies = await self._ask(
            [
                ("XREAD", "COUNT", count, "STREAMS", self._keys(shard).stream, self.through[shard])
                for shard, count in asked.items()
            ]
        )
        return [
            self._page(shard, reply, now, asked[shard])
            for shard, reply in zip(asked, replies, strict=True)
        ]

    def _page(self, shard: int, reply: Reply, now: datetime, asked: int) -> ShardPage:
        came = entries_of(reply)
        if not came:
            return ShardPage(shard, (), 0, now, is_full=False)
        self._counts[shard].came(came)
        # What is too much for one turn is read again.
        entries = next(batches_of(came, self._limits))
        is_full = len(came) == asked or len(entries) < len(came)
        last_id = entries[-1].id
        clock = EPOCH + timedelta(milliseconds=id_order(last_id)[0]) if is_full else now
        self.through[shard] = last_id
        # What cannot be decoded is passed over: the history dead-letters it.
        fixes = [placed.event for placed in decode_page(entries).events]
        return ShardPage(shard, fixes, len(entries), clock, is_full)

    async def check(self) -> list[int]:
        """Shards whose entries were trimmed, or deleted, before they were read; each once.

        A stream that began anew, as after a flush, is read from its beginning.
        """
        gaps = []
        for shard, through in list(self.through.items()):
            try:
                facts = await self._wire(shard).send("XINFO", "STREAM", self._keys(shard).stream)
            except hiredis.ReplyError as e:
                if not is_key_missing(e):
                    raise
                continue
            names = dict(zip(facts[::2], facts[1::2], strict=True))
            if is_beyond(through, names[b"last-generated-id"]):
                self.through[shard] = START
                continue
            deleted = names.get(b"max-deleted-entry-id", START)
            said = self._said.get(shard, START)
            if through != START and is_beyond(deleted, through) and is_beyond(deleted, said):
                self._said[shard] = deleted
                gaps.append(shard)
        return gaps

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        asking: list[Awaitable[Reply]] = [
            self._wire(shard).send(*command)
            for shard, command in zip(self.through, commands, strict=True)
        ]
        return await asyncio.gather(*asking)

    def _keys(self, shard: int) -> ShardKeys:
        return self._shards[shard].keys

    def _wire(self, shard: int) -> Wire:
        return self._nodes.wire(self._shards[shard])
