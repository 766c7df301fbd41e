"""Writes dead letters: what can never be stored is kept, named, and can be replayed.

The letters of an entry and its acknowledgement are one transaction (the keys share a hash tag),
so an entry is in the dead letters or pending, never in neither. Nor in both, or twice: only what
is still pending is written, so a transaction whose reply was lost can be tried again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

import hiredis

from common.keys import ShardKeys
from common.log import get
from common.redis.wire import Command, Wire, is_full
from common.stream.backlog import SETTLED
from common.stream.dead_letter import DRIVER_CHARS_MAX, REASONS, DeadLetter

# Entries written in one piece: one alone would cost a sync of the disk each.
ENTRIES_AT_ONCE = 100

_log = get("dead_letter")

Letters = list[DeadLetter]


class DeadLetterWriter:
    """The dead letters of one shard."""

    def __init__(self, wire: Wire, keys: ShardKeys, *, shard: int, group: str) -> None:
        self._wire = wire
        self._keys = keys
        self._shard = shard
        self._group = group
        # Letters could not be written because Redis is full; their entries are pending.
        self.deferred = False
        # Letters that were written, by reason.
        self.written: Counter[str] = Counter(dict.fromkeys(REASONS, 0))

    async def write_and_ack(
        self, letters: Sequence[DeadLetter], fixes: Mapping[bytes, int]
    ) -> None:
        """Write letters and acknowledge their entries, one transaction for each entry.

        Letters of one entry stand together; one transaction writes them all. An entry that is not
        pending any more was written before and is left out. `fixes`: entry id → how many it holds,
        all of which are settled then.

        When Redis is full its entry stays pending and `deferred` says so: waiting for room here
        would hold up the acknowledgements that make room. Raises `Overloaded` or
        `hiredis.ReplyError`: then too those entries are still pending.
        """
        entries = [list(group) for _, group in groupby(letters, lambda letter: letter.stream_id)]
        for start in range(0, len(entries), ENTRIES_AT_ONCE):
            pending = await self._still_pending(entries[start : start + ENTRIES_AT_ONCE])
            if pending and not await self._write(pending, fixes):
                self.deferred = True
                return

    async def _still_pending(self, entries: Sequence[Letters]) -> list[Letters]:
        """Nobody but this process acknowledges, and it writes one page at a time: it stays true."""
        stream, group = self._keys.stream, self._group
        ids = [letters[0].stream_id for letters in entries]
        replies = await self._wire.pipeline([("XPENDING", stream, group, x, x, 1) for x in ids])
        return [letters for letters, rows in zip(entries, replies, strict=True) if rows]

    async def _write(self, entries: Sequence[Letters], fixes: Mapping[bytes, int]) -> bool:
        """False: Redis is full."""
        now = datetime.now(UTC)
        commands: list[Command] = []
        for letters in entries:
            stamped = [letter.stamped(self._shard, now) for letter in letters]
            entry_id = letters[0].stream_id
            commands += [
                ("MULTI",),
                *(("XADD", self._keys.dead, "*", *letter.fields()) for letter in stamped),
                ("XACK", self._keys.stream, self._group, entry_id),
                ("HINCRBY", self._keys.counts, SETTLED, fixes[entry_id]),
                ("EXEC",),
            ]
        replies = await self._wire.pipeline_raw(commands)
        errors = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if any(map(is_full, errors)):
            return False
        if errors:
            raise errors[0]
        for letters in entries:
            for letter in letters:
                self.written[letter.reason] += 1
                _log.warning(
                    "dead_letter",
                    shard=self._shard,
                    id=letter.entry_id.decode(),
                    driver=letter.driver_id[:DRIVER_CHARS_MAX],
                    reason=letter.reason,
                    error=letter.error[:200],
                )
        return True
