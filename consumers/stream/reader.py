"""Reading a shard's stream through its consumer group, and acknowledging. Holds no rules."""

import asyncio
import time
from collections.abc import Sequence

import hiredis

from common.errors import Overloaded
from common.keys import ENTRY_FIELD, ShardKeys
from common.log import get
from common.redis.wire import Command, Reply, Wire, is_full
from consumers.stream.counts import CONFLICTS, ENTRIES_LOST, Counts
from consumers.stream.entry import RawEntry, id_order
from consumers.stream.waiting import Waiting

# A command with more arguments than this would hold up Redis and everybody behind it.
IDS_PER_COMMAND = 5000

_FIELD = ENTRY_FIELD.encode()
_log = get("reader")


class Reader:
    """One consumer of one stream's group.

    `reads` is a connection of its own, because a read that waits for new entries blocks all
    that is behind it; everything else goes through `wire`. Methods raise `Overloaded` when Redis
    does not answer and `hiredis.ReplyError` when it refuses.
    """

    def __init__(
        self,
        reads: Wire,
        wire: Wire,
        keys: ShardKeys,
        counts: Counts,
        *,
        group: str,
        consumer: str,
    ) -> None:
        self._reads = reads
        self._wire = wire
        self._stream = keys.stream
        self._counts = counts
        self._group = group
        self._consumer = consumer
        self.waiting = Waiting()

    async def ensure_group(self) -> None:
        """Create stream and group if they are missing, at 0: what is in the stream is unread."""
        try:
            await self._wire.send("XGROUP", "CREATE", self._stream, self._group, "0", "MKSTREAM")
        except hiredis.ReplyError as e:
            if not str(e).startswith("BUSYGROUP"):
                raise
        else:
            _log.info("group.created", stream=self._stream, group=self._group)

    def begin_read(self, count: int, block_ms: int) -> asyncio.Future[Reply]:
        """Ask for up to `count` entries nobody has read, waiting up to `block_ms` for the first.

        The answer is for `entries_of`. Asked before the last answer is worked off, so that Redis
        and the worker are busy at the same time.
        """
        return self._reads.send(*self._read(count, "BLOCK", block_ms), ">")

    async def read_own(self, count: int, after: bytes = b"0") -> list[RawEntry]:
        """Up to `count` of this consumer's own pending entries after the id `after`, in order."""
        return entries_of(await self._wire.send(*self._read(count), after))

    def _read(self, count: int, *options: str | int) -> tuple[str | int, ...]:
        return (
            *("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count),
            *options,
            *("STREAMS", self._stream),
        )

    async def ack(self, ids: Sequence[bytes], conflicts: int = 0) -> None:
        """Acknowledge `ids`: they are stored. `conflicts` of them are counted, in the same step."""
        starts = range(0, len(ids), IDS_PER_COMMAND)
        parts = [ids[start : start + IDS_PER_COMMAND] for start in starts]
        acks: list[Command] = [("XACK", self._stream, self._group, *part) for part in parts]
        if conflicts and not await self._ack_and_count(acks, conflicts):
            self._counts.add(CONFLICTS, conflicts)
            conflicts = 0
        if not conflicts:
            for ack in acks:
                await self._wire.send(*ack)
        self.waiting.settled(len(ids))

    async def _ack_and_count(self, acks: Sequence[Command], conflicts: int) -> bool:
        """False: nothing was done, because Redis is full and counting takes room."""
        counting = self._counts.raising(CONFLICTS, conflicts)
        replies = await self._wire.pipeline_raw([("MULTI",), *acks, counting, ("EXEC",)])
        errors = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if any(map(is_full, errors)):
            return False
        if errors:
            raise errors[0]
        self._counts.raised(CONFLICTS, replies[-1][-1])
        return True

    async def forgive(self, ids: Sequence[bytes]) -> None:
        """Count these as delivered once: whoever had them in hand is still alive."""
        for start in range(0, len(ids), IDS_PER_COMMAND):
            part = ids[start : start + IDS_PER_COMMAND]
            claim = ("XCLAIM", self._stream, self._group, self._consumer, 0)
            await self._wire.send(*claim, *part, "RETRYCOUNT", 1, "JUSTID")

    def say_lost(self, ids: Sequence[bytes]) -> None:
        """Say loudly that entries vanished before they were stored: somebody trimmed the stream."""
        self._counts.add(ENTRIES_LOST, len(ids))
        _log.error("entries.lost", stream=self._stream, count=len(ids), first=ids[0].decode())

    async def last_delivered(self) -> tuple[int, int]:
        """Newest id that was handed to any consumer of the group; zeros if none ever was."""
        group = self._own(await self._wire.send("XINFO", "GROUPS", self._stream))
        return id_order(group[b"last-delivered-id"]) if group else (0, 0)

    def _own(self, groups: Reply) -> dict[bytes, Reply]:
        """Our group's facts in an answer to XINFO GROUPS; empty if it is not there."""
        for row in groups:
            group = dict(zip(row[::2], row[1::2], strict=True))
            if group[b"name"] == self._group.encode():
                return group
        return {}

    async def look(self) -> None:
        """See what waits. A stream or a group that is gone changes nothing of what was seen."""
        stream, groups = await self._wire.pipeline_raw(
            [("XINFO", "STREAM", self._stream), ("XINFO", "GROUPS", self._stream)]
        )
        if isinstance(stream, hiredis.ReplyError) or isinstance(groups, hiredis.ReplyError):
            return
        facts, group = dict(zip(stream[::2], stream[1::2], strict=True)), self._own(groups)
        if group:
            pending, unread = group[b"pending"], group[b"lag"]
            if unread is None:
                # Redis forgets the lag when entries are deleted out of order: an upper bound.
                unread = max(0, facts[b"length"] - pending)
            self.waiting.look(
                unread,
                pending,
                delivered=group[b"last-delivered-id"],
                through=facts[b"last-generated-id"],
                now_s=time.monotonic(),
            )

    async def any_left(self) -> bool:
        """Whether anything is in the stream still that was there at the last look."""
        return bool(
            await self._wire.send("XRANGE", self._stream, "-", self.waiting.through, "COUNT", 1)
        )

    async def deliveries(self, after: bytes = b"0") -> int:
        """How often the first own pending entry after an id was delivered; 0 if there is none."""
        rows = await self._wire.send(
            "XPENDING", self._stream, self._group, b"(" + after, "+", 1, self._consumer
        )
        return rows[0][3] if rows else 0

    async def any_idle(self, idle_ms: int) -> bool:
        """Whether an own pending entry was not touched for so long."""
        rows = await self._wire.send(
            *("XPENDING", self._stream, self._group, "IDLE", idle_ms, "-", "+", 1),
            self._consumer,
        )
        return bool(rows)

    async def claim(self, idle_ms: int) -> int:
        """Take over entries that consumers other than this one left idle. Returns how many.

        Payloads are not read: the entries become this consumer's own pending ones.
        """
        claimed = 0
        for name in await self._gone(idle_ms):
            _log.warning("claim", stream=self._stream, consumer=name.decode("utf-8", "replace"))
            claimed += await self._claim_idle(idle_ms)
        return claimed

    async def _gone(self, idle_ms: int) -> list[bytes]:
        rows = await self._wire.send("XINFO", "CONSUMERS", self._stream, self._group)
        found = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        return [
            row[b"name"]
            for row in found
            if row[b"name"] != self._consumer.encode()
            and row[b"pending"]
            and row[b"idle"] >= idle_ms
        ]

    async def _claim_idle(self, idle_ms: int) -> int:
        claimed, cursor = 0, b"0-0"
        while True:
            cursor, ids, deleted = await self._wire.send(
                *("XAUTOCLAIM", self._stream, self._group, self._consumer, idle_ms, cursor),
                *("COUNT", 1000, "JUSTID"),
            )
            claimed += len(ids)
            if deleted:
                self.say_lost(deleted)
            if cursor == b"0-0":
                return claimed


def is_group_missing(error: Exception) -> bool:
    """Whether Redis lost the group (a flush, an empty restart): create it and go on."""
    return isinstance(error, hiredis.ReplyError) and str(error).startswith("NOGROUP")


def entries_of(reply: Reply) -> list[RawEntry]:
    """The entries in an answer to a read."""
    if not reply:
        return []
    return [RawEntry(entry_id, _payload(fields)) for entry_id, fields in reply[0][1]]


def _payload(fields: list[bytes] | None) -> bytes | None:
    if fields is None:
        return None
    if len(fields) == 2 and fields[0] == _FIELD:
        return fields[1]
    # Not written by us. Kept readable, so that the dead letter shows what it was.
    return b" ".join(fields)


# What a caller of the reader has to expect when Redis is in trouble.
REDIS_TROUBLE = (Overloaded, hiredis.ReplyError)
