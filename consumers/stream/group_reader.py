"""Reading a shard's stream through its consumer group, and acknowledging. Holds no rules."""

from collections.abc import Callable, Sequence

import hiredis

from common.errors import Overloaded
from common.keys import ShardKeys
from common.log import get
from common.redis.wire import Wire
from consumers.stream.counts.settled import acknowledging
from consumers.stream.entry import Entry, entries_in, entries_of
from consumers.stream.poison.crash import Pending

# A command with more arguments than this would hold up Redis and everybody behind it. A script
# takes fewer than 8000.
IDS_PER_COMMAND = 5000

_log = get("group")


class GroupReader:
    """One consumer of one stream's group. `pick` leaves out of an entry what is another group's.

    Methods raise `Overloaded` when Redis does not answer and `hiredis.ReplyError` when it refuses.
    """

    def __init__(
        self,
        wire: Wire,
        keys: ShardKeys,
        *,
        group: str,
        consumer: str,
        pick: Callable[[Entry], Entry] | None = None,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._stream = keys.stream
        self._group = group
        self._consumer = consumer
        self._pick = pick
        # Whether some entries are `PickedEntry`.
        self.picks = pick is not None

    async def ensure(self) -> bool:
        """Create stream and group if they are missing, at 0: what is in the stream is unread.

        Returns whether the group was missing.
        """
        try:
            await self._wire.send("XGROUP", "CREATE", self._stream, self._group, "0", "MKSTREAM")
        except hiredis.ReplyError as e:
            if not str(e).startswith("BUSYGROUP"):
                raise
            return False
        _log.info("group.created", stream=self._stream, group=self._group)
        return True

    async def read_new(self, count: int) -> list[Entry]:
        """Up to `count` entries that nobody was handed; from now on they are pending here."""
        entries = entries_of(
            await self._wire.send(
                *("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count),
                *("STREAMS", self._stream, ">"),
            )
        )
        return entries if self._pick is None else list(map(self._pick, entries))

    async def pending(self, after: bytes, count: int) -> list[Pending]:
        """Up to `count` of this consumer's own pending entries after an id, in order."""
        rows = await self._wire.send(
            "XPENDING", self._stream, self._group, b"(" + after, "+", count, self._consumer
        )
        return [Pending(row[0], row[3]) for row in rows]

    async def take_pending(self, ids: Sequence[bytes], times: int) -> list[Entry]:
        """Own pending entries with their packs; they count as begun `times` times, as before.

        An entry that was deleted has no pack, and is pending no more.
        """
        entries: dict[bytes, Entry] = {}
        for part in _parts(ids):
            reply = await self._wire.send(
                *("XCLAIM", self._stream, self._group, self._consumer, 0),
                *part,
                *("RETRYCOUNT", times),
            )
            # Redis before 7 answers nothing in the place of a deleted entry.
            entries |= {entry.id: entry for entry in entries_in(row for row in reply if row)}
        taken = [entries.get(entry_id, Entry(entry_id, None)) for entry_id in ids]
        return taken if self._pick is None else list(map(self._pick, taken))

    async def set_delivery_counts(self, ids: Sequence[bytes], times: int) -> None:
        """Let pending entries count as begun `times` times."""
        for part in _parts(ids):
            await self._wire.send(
                *("XCLAIM", self._stream, self._group, self._consumer, 0),
                *part,
                *("RETRYCOUNT", times, "JUSTID"),
            )

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """All fixes of these entries are settled: nothing of them is needed. May be done twice."""
        for start in range(0, len(entries), IDS_PER_COMMAND):
            part = entries[start : start + IDS_PER_COMMAND]
            fixes = sum(entry.fixes for entry in part)
            ids = [entry.id for entry in part]
            await self._wire.send(*acknowledging(self._keys, self._group, ids, fixes))

    async def any_idle(self, idle_ms: int) -> bool:
        """Whether an own pending entry was not touched for so long."""
        rows = await self._wire.send(
            *("XPENDING", self._stream, self._group, "IDLE", idle_ms, "-", "+", 1),
            self._consumer,
        )
        return bool(rows)

    async def claim_idle(self, idle_ms: int) -> tuple[int, list[bytes]]:
        """Take over entries that consumers other than this one left idle.

        Returns how many, and the ids of entries that were deleted. Packs are not read: the
        entries become this consumer's own pending ones.
        """
        claimed, deleted = 0, []
        for name in await self._idle_consumers(idle_ms):
            _log.warning("claim", stream=self._stream, consumer=name.decode("utf-8", "replace"))
            cursor = b"0-0"
            while True:
                cursor, ids, gone = await self._wire.send(
                    *("XAUTOCLAIM", self._stream, self._group, self._consumer, idle_ms, cursor),
                    *("COUNT", 1000, "JUSTID"),
                )
                claimed += len(ids)
                deleted += gone
                if cursor == b"0-0":
                    break
        return claimed, deleted

    async def _idle_consumers(self, idle_ms: int) -> list[bytes]:
        rows = await self._wire.send("XINFO", "CONSUMERS", self._stream, self._group)
        consumers = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        return [
            consumer[b"name"]
            for consumer in consumers
            if consumer[b"name"] != self._consumer.encode()
            and consumer[b"pending"]
            and consumer[b"idle"] >= idle_ms
        ]


def _parts(ids: Sequence[bytes]) -> list[Sequence[bytes]]:
    starts = range(0, len(ids), IDS_PER_COMMAND)
    return [ids[start : start + IDS_PER_COMMAND] for start in starts]


def is_group_missing(error: Exception) -> bool:
    """Whether Redis lost the group (a flush, an empty restart): create it and go on."""
    return isinstance(error, hiredis.ReplyError) and str(error).startswith("NOGROUP")


# What a caller has to expect when Redis is in trouble.
REDIS_TROUBLE = (Overloaded, hiredis.ReplyError)
