"""Events into their shards' streams. Returns only once Redis has said that it has them.

Nothing is retried here: a reply that does not come leaves the outcome unknown, and the sender's
own retry is harmless because driver and time identify the fix.

How an entry is written is decided in this file alone: `_entry`, and the rate's script, which is
given the same field.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import hiredis

from common.errors import Overloaded
from common.keys import ENTRY_FIELD
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply
from common.shards import Shard, Shards
from ingest.intake.capacity import Capacity
from ingest.intake.pace import SCRIPT, Ask
from ingest.intake.validate import Fix

_SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


class Written(NamedTuple):
    """The message id of the last entry (empty when none was written), and replies to the asks.

    An error among the replies says that the script did nothing.
    """

    message_id: bytes
    replies: Sequence[Reply]


class StreamWriter:
    """Writes entries over one worker's connections, as far as there is capacity."""

    def __init__(self, nodes: Nodes, shards: Shards, capacity: Capacity) -> None:
        self._nodes = nodes
        self._shards = shards
        self._capacity = capacity
        self._prefixes = [b"%d-" % shard.index for shard in shards]
        self._refusals = Repeated(get("ingest"), "redis.refused")
        self._unscripted = Repeated(get("ingest"), "rate.local")

    async def write_one(self, driver_id: str, event: bytes) -> bytes:
        """Write one event as an entry; its message id. Raises `Overloaded`."""
        shard = self._shards.of(driver_id)
        self._capacity.reserve(shard.index)
        try:
            entry_id: bytes = await self._nodes.wire(shard).send(*_entry(shard, event))
        except hiredis.ReplyError as e:
            raise self._refused(e) from e
        self._refusals.healed()
        return self._prefixes[shard.index] + entry_id

    async def write(
        self,
        fixes: Sequence[Fix],
        asks: Sequence[Ask] = (),
        terms: Sequence[str | int] = (),
        *,
        whole: bool = False,
    ) -> Written:
        """Write `fixes`, each driver's in their order, and put `asks` to the rate's script.

        All of it leaves in one piece. Raises `Overloaded` when one of `fixes` is not known to be
        in its stream, or when a shard is full: nothing is written then.
        """
        of = self._shards.of
        commands: list[list[Command]] = [[] for _ in self._prefixes]
        for driver_id, event in fixes:
            shard = of(driver_id)
            commands[shard.index].append(_entry(shard, event))
        counts = [len(each) for each in commands]
        for ask in asks:
            counts[of(ask.driver_id).index] += len(ask.events)
        self._capacity.reserve_all(counts)
