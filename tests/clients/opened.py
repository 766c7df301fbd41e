"""Connections to the Redis of a test, as roles have them."""

import contextlib
from collections.abc import AsyncIterator

from common.redis.nodes import Nodes
from common.redis.opening import new_nodes


@contextlib.asynccontextmanager
async def opened(url: str, *, reply_timeout_s: float = 5.0) -> AsyncIterator[Nodes]:
    """To one server or to a cluster, for the block."""
    nodes = new_nodes(url, reply_timeout_s=reply_timeout_s, name="test")
    await nodes.start()
    try:
        yield nodes
    finally:
        await nodes.close()
