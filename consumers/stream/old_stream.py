"""What roles of the release before still write under a shard's old names is moved on.

They may run beside those of this one while a system is upgraded. What an old ingest accepts gets
into the stream that this release reads, and the dead letters of an old consumer to the others. An
entry is removed only once it is in its new place: cut off in between, a fix comes twice, which is
one row by its identity.
"""

import hiredis

from common.keys import CARRIED_FROM, ENTRY_FIELD, META, ShardKeys
from common.log import get
from common.redis.wire import Command, Reply, Wire
from common.stream.backlog import ADDED
from common.stream.pack import count_events

# Entries moved at once: Redis does nothing else while it reads and writes a page.
PAGE = 100
# How often it is looked: this is how late a fix of an old ingest becomes live.
LOOK_EVERY_S = 0.5

_log = get("old_stream")


class OldStream:
    """The old stream and the old dead letters of one shard. There is none in most systems."""

    def __init__(self, wire: Wire, old: ShardKeys, new: ShardKeys) -> None:
        self._wire = wire
        self._old = old
        self._new = new
        # Whether the data were carried over from an older format; None: not asked yet.
        self._carried: bool | None = None
        self.moved = 0

    async def move(self) -> None:
        """Move what is there. Raises `Overloaded` or `hiredis.ReplyError`."""
        if self._carried is None:
            self._carried = await self._wire.send("HGET", META, CARRIED_FROM) is not None
        if not self._carried:
            return
        if await self._wire.send("EXISTS", self._new.closed):
            # Drivers are in other shards by now: `fleetline reshard` moves what comes.
            return
        before = self.moved
        for old, new in ((self._old.stream, self._new.stream), (self._old.dead, self._new.dead)):
            while await self._move_page(old, new) == PAGE:
                pass
        if self.moved > before:
            _log.info("old_stream.moved", stream=self._old.stream, entries=self.moved - before)

    async def _move_page(self, old: str, new: str) -> int:
        entries = await self._wire.send("XRANGE", old, "-", "+", "COUNT", PAGE)
        if not entries:
            return 0
        adding: list[Command] = []
        for _, fields in entries:
            adding.append(("XADD", new, "*", *fields))
            if new == self._new.stream:
                adding.append(("HINCRBY", self._new.counts, ADDED, _fixes(fields)))
        replies = await self._wire.pipeline_raw(adding)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        await self._wire.send("XDEL", old, *(entry_id for entry_id, _ in entries))
        self.moved += len(entries)
        return len(entries)


def _fixes(fields: Reply) -> int:
    """How many fixes an entry holds; one that is none of ours is one dead letter."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    payload = named.get(ENTRY_FIELD.encode())
    return 1 if payload is None else count_events(payload)
