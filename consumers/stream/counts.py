"""Counts of what went wrong and was lived with: for a person to look at, kept in Redis.

* `conflicts`: entries that name a fix which is stored with other values; the first stays.
* `groups_lost`: times that Redis forgot the consumer group (a flush, a restart without its data).
* `entries_lost`: entries that were accepted, and are known to be gone before they were stored.

The shard's worker is the only one who writes them and keeps them in memory too: a flush, which is
one of the things to count, takes no count with it while the worker lives.
"""

import hiredis

from common.redis.wire import Command, Wire, is_full

CONFLICTS = "conflicts"
GROUPS_LOST = "groups_lost"
ENTRIES_LOST = "entries_lost"
NAMES = (CONFLICTS, GROUPS_LOST, ENTRIES_LOST)


class Counts:
    """The counts of one shard. They only ever grow, so of two versions the larger is right."""

    def __init__(self, wire: Wire, key: str) -> None:
        self._wire = wire
        self._key = key
        self.totals = dict.fromkeys(NAMES, 0)

    def add(self, name: str, count: int) -> None:
        """Count; Redis has it with the next `keep`."""
        self.totals[name] += count

    def raising(self, name: str, count: int) -> Command:
        """The command that counts in Redis, for somebody's transaction; `raised` takes its reply.

        What is counted with an acknowledgement is counted once, whoever dies in between.
        """
        return ("HINCRBY", self._key, name, count)

    def raised(self, name: str, total: int) -> None:
        """Note what Redis has counted."""
        self.totals[name] = max(self.totals[name], total)

    async def keep(self) -> None:
        """Make Redis and the memory agree. Raises `Overloaded` or `hiredis.ReplyError`.

        A full Redis gets them once there is room.
        """
        known = await self._wire.send("HMGET", self._key, *NAMES)
        for name, total in zip(NAMES, known, strict=True):
            self.raised(name, int(total or 0))
        stale = [
            part
            for name, total in zip(NAMES, known, strict=True)
            if self.totals[name] != int(total or 0)
            for part in (name, self.totals[name])
        ]
        try:
            if stale:
                await self._wire.send("HSET", self._key, *stale)
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise
