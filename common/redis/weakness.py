"""Why an accepted fix could be lost by a Redis, as its servers are set."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError, ResponseError


async def durability_of(redis: Any, *, is_cluster: bool) -> str | None:
    """One line about the first server that is set weaker than promised; None if all is well."""
    try:
        if not is_cluster:
            return weakness(await _settings(redis), is_cluster=False)
        for node in redis.get_nodes():
            found = weakness(await _settings(redis, target_nodes=node), is_cluster=True)
            if found is not None:
                return f"{node.name}: {found}"
    except (ResponseError, RedisError):
        # Hosted servers forbid CONFIG; nothing can be said then.
        return None
    return None


async def _settings(redis: Any, **node: Any) -> dict[str, str]:
    found: dict[str, str] = await redis.config_get("append*", **node)
    found |= await redis.config_get("maxmemory-policy", **node)
    found |= await redis.config_get("cluster-require-full-coverage", **node)
    return found


def weakness(found: Mapping[str, str], *, is_cluster: bool) -> str | None:
    """What is wrong with these settings, in one line. Pure."""
    if found.get("appendonly") != "yes":
        return "appendonly is off: accepted fixes are lost when Redis dies"
    if found.get("appendfsync") != "always":
        return (
            f"appendfsync is {found.get('appendfsync')}, not always: "
            "the last accepted fixes can be lost when Redis dies"
        )
    policy = found.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        return f"maxmemory-policy is {policy}, not noeviction: whole streams can be evicted"
    if is_cluster and found.get("cluster-require-full-coverage") == "yes":
        return "cluster-require-full-coverage is yes: one dead primary stops the shards of all"
    return None
