"""Counts of what went wrong and was lived with: for a person to look at, kept in Redis.

* `repeats`: fixes that came again and were stored once: a client that retried, a redelivery.
* `groups_lost`: times that Redis forgot the consumer group (a flush, a restart without its data).
* `entries_lost`: entries that were accepted and deleted by somebody else before they were stored.

The shard's worker is the only one who writes them and keeps them in memory too: a flush, which is
one of the things to count, takes no count with it while the worker lives. A crash forgets what was
counted in its last second.
"""

import hiredis

from common.redis.wire import Wire, is_full
from common.stream.backlog import read_total

REPEATS = "repeats"
GROUPS_LOST = "groups_lost"
ENTRIES_LOST = "entries_lost"
NAMES = (REPEATS, GROUPS_LOST, ENTRIES_LOST)


class Counts:
    """The counts of one shard. They only ever grow, so of two versions the larger is right."""

    def __init__(self, wire: Wire, key: str) -> None:
        self._wire = wire
        self._key = key
        # Whether what predecessors counted is among the totals.
        self._loaded = False
        self.totals = dict.fromkeys(NAMES, 0)
        # By this process alone, for metrics: those are added up elsewhere.
        self.counted = dict.fromkeys(NAMES, 0)

    def add(self, name: str, count: int) -> None:
        """Count; Redis has it with the next `keep`."""
        self.totals[name] += count
        self.counted[name] += count

    async def keep(self) -> None:
        """Make Redis and the memory agree. Raises `Overloaded` or `hiredis.ReplyError`.

        A full Redis gets them once there is room.
        """
        reply = await self._wire.send("HMGET", self._key, *NAMES)
        kept = {name: read_total(total) or 0 for name, total in zip(NAMES, reply, strict=True)}
        for name, total in kept.items():
            mine = self.totals[name]
            self.totals[name] = max(mine, total) if self._loaded else mine + total
        self._loaded = True
        stale = [
            part
            for name, total in self.totals.items()
            if total != kept[name]
            for part in (name, total)
        ]
        try:
            if stale:
                await self._wire.send("HSET", self._key, *stale)
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise
