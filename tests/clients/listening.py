"""Hears what is published on a channel, on one server and on a cluster."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio


class Listener:
    """What comes on one channel."""

    def __init__(self, pubsub: Any, *, sharded: bool) -> None:
        self._next = pubsub.get_sharded_message if sharded else pubsub.get_message

    async def message(self, timeout_s: float = 5.0) -> bytes | None:
        """The next message; None when none comes in that time."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            found = await self._next(ignore_subscribe_messages=True, timeout=left_s)
            if found is not None and found["type"] in {"message", "smessage"}:
                data: bytes = found["data"]
                return data
        return None


@contextlib.asynccontextmanager
async def listening(client: Any, channel: str) -> AsyncIterator[Listener]:
    """A listener for the block, which hears everything from its beginning on."""
    sharded = isinstance(client, redis.asyncio.RedisCluster)
    if sharded:
        await client.initialize()
    async with client.pubsub() as pubsub:
        await (pubsub.ssubscribe if sharded else pubsub.subscribe)(channel)
        # That it is subscribed is a message, too.
        heard = pubsub.get_sharded_message if sharded else pubsub.get_message
        while await heard(timeout=5) is None:
            pass
        yield Listener(pubsub, sharded=sharded)
