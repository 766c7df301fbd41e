"""Tells Redis how far the engine has stored each stream, for as long as this process lives.

A worker trims its stream behind the history, but waits for who says so here. With the database
away nothing is stored, and what was said last stays said.
"""

import asyncio

import hiredis

from common.redis.nodes import Nodes
from common.redis.wire import Reply, is_full
from common.shards import Shards
from consumers.stream.groups import START

# How long a stream is kept for an engine that does not say anything: a restart takes seconds.
HOLD_S = 60


class StreamHold:
    """`stored` is what this process knows: shard -> the id through which all is stored."""

    def __init__(self, nodes: Nodes, shards: Shards) -> None:
        self._nodes = nodes
        self._shards = shards
        self._waiting: Shards | None = None
        self.stored: dict[int, bytes] = {}

    def follow(self, shards: Shards, waiting: Shards | None) -> None:
        """These are followed from now on; what comes to `waiting` is kept until it is read."""
        self._shards, self._waiting = shards, waiting
        self.stored = {}

    async def tell(self) -> None:
        """Say it again. Raises `Overloaded` or `hiredis.ReplyError`."""
        asking: list[asyncio.Future[Reply]] = []
        for shard in self._shards:
            key, through = shard.keys.places, self.stored.get(shard.index)
            prolong = ("EXPIRE", key, HOLD_S)
            say = prolong if through is None else ("SET", key, through, "EX", HOLD_S)
            asking.append(self._nodes.wire(shard).send(*say))
        for shard in self._waiting or ():
            say = ("SET", shard.keys.places, START, "EX", HOLD_S)
            asking.append(self._nodes.wire(shard).send(*say))
        for reply in await asyncio.gather(*asking, return_exceptions=True):
            # A full Redis keeps what it was told.
            full = isinstance(reply, hiredis.ReplyError) and is_full(reply)
            if isinstance(reply, BaseException) and not full:
                raise reply
