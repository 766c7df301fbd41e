"""Dead letters: what can never be stored is kept, named, and can be replayed.

Writing the letter and acknowledging the entry are one transaction (the keys share a hash tag),
so an entry is in the dead letters or pending, never in neither. Nor in both, or twice: the live
and the history stage may have the same entry in hand, so only what is still pending is buried,
one at a time.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import hiredis

from common.dead_letter import DRIVER_CHARS_MAX, DeadLetter
from common.keys import ShardKeys
from common.log import get
from common.redis.wire import Command, Reply, Wire, is_full

# Written in one piece: a letter alone would cost a sync of the disk each.
LETTERS_AT_ONCE = 100
_log = get("dead_letter")


class DeadLetters:
    """The dead letters of one shard."""

    def __init__(self, wire: Wire, keys: ShardKeys, *, shard: int, group: str) -> None:
        self._wire = wire
        self._keys = keys
        self._shard = shard
        self._group = group
        self._turn = asyncio.Lock()
        # Whether letters could not be written because Redis is full; their entries are pending.
        self.left = False

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Write letters and acknowledge their entries, one transaction each.

        An entry that is not pending any more was buried before and is left out.

        When Redis is full they are left pending and `left` says so: waiting for room here would
        hold up the acknowledgements that make room. Raises `Overloaded` or `hiredis.ReplyError`:
        then too those entries are still pending.
        """
        for start in range(0, len(letters), LETTERS_AT_ONCE):
            async with self._turn:
                pending = await self._still_pending(letters[start : start + LETTERS_AT_ONCE])
                if pending and not await self._bury(pending):
                    self.left = True
                    return

    async def _still_pending(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Nobody but this process acknowledges, and here only one at a time: it stays true."""
        stream, group = self._keys.stream, self._group
        replies = await self._wire.pipeline_raw(
            [("XPENDING", stream, group, x.entry_id, x.entry_id, 1) for x in letters]
        )
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        return [letter for letter, rows in zip(letters, replies, strict=True) if rows]

    async def _bury(self, letters: Sequence[DeadLetter]) -> bool:
        """False: Redis is full."""
        now = datetime.now(UTC)
        commands: list[Command] = []
        for letter in letters:
            commands += [
                ("MULTI",),
                ("XADD", self._keys.dead, "*", *letter.stamped(self._shard, now).fields()),
                ("XACK", self._keys.stream, self._group, letter.entry_id),
                ("EXEC",),
            ]
        replies: list[Reply] = await self._wire.pipeline_raw(commands)
        errors = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if any(map(is_full, errors)):
            return False
        if errors:
            raise errors[0]
        for letter in letters:
            _log.warning(
                "dead_letter",
                shard=self._shard,
                id=letter.entry_id.decode(),
                driver=letter.driver_id[:DRIVER_CHARS_MAX],
                reason=letter.reason,
                error=letter.error[:200],
            )
        return True
