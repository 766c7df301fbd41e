"""Whether REDIS_URL says what is there: a cluster, or one server.

Without this look each command to a cluster's node would be answered with MOVED, which looks like a
Redis that refuses, for ever.
"""

import hiredis

from common.errors import ConfigError, Overloaded
from common.redis.nodes import Nodes

IS_A_CLUSTER = (
    "REDIS_URL: this server is a node of a Redis Cluster; "
    "write redis+cluster://HOST:PORT, with some of its nodes separated by commas"
)
IS_NO_CLUSTER = "REDIS_URL: this server is no cluster; write redis://HOST:PORT"


async def require_kind(nodes: Nodes) -> None:
    """Raise `ConfigError` if the servers that answer are of the other kind. `nodes` has begun."""
    if nodes.is_cluster:
        if nodes.none_is_cluster:
            raise ConfigError(IS_NO_CLUSTER)
        return
    for wire in nodes.wires:
        try:
            facts = await wire.send("INFO", "cluster")
        except (Overloaded, hiredis.ReplyError):
            # Away, or hosted and forbidden.
            continue
        if b"cluster_enabled:1" in facts:
            raise ConfigError(IS_A_CLUSTER)
