"""The hash `fleetline:meta`: what the data in this Redis was written with.

A different shard count would re-home drivers: their newest position and the order of their
fixes would be split over two writers. So each role compares its settings with this hash before it
starts; the first start of all writes it.
"""

from typing import Any

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from common import log
from common.errors import ConfigError
from common.keys import FORMAT_VERSION, META
from common.redis import carry_over
from common.redis.client import new_async_client

_log = log.get("meta")


async def check_meta(redis_url: str, shards: int) -> None:
    """Write, or compare with, what the first start wrote; warn of weak durability.

    Raises `ConfigError` when it differs or the URL is refused, `RedisError` or `OSError` when the
    server does not answer.
    """
    async with new_async_client(redis_url) as redis:
        try:
            await _check(redis, shards)
        except AuthenticationError as e:
            raise ConfigError(f"REDIS_URL: {e}") from e
        warning = await _weakness(redis)
        if warning is not None:
            _log.warning("redis.weak_durability", detail=warning)


async def durability_warning(redis_url: str) -> str | None:
    """One line about why an accepted fix could be lost by this Redis, None if all is well."""
    async with new_async_client(redis_url) as redis:
        return await _weakness(redis)


async def _check(redis: Any, shards: int) -> None:
    found = await redis.hmget(META, "shards", "format")
    if None in found:
        # Only the first start writes: a full Redis refuses that, and must not stop later ones.
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(META, "shards", shards)
            pipe.hsetnx(META, "format", FORMAT_VERSION)
            pipe.hmget(META, "shards", "format")
            found = (await pipe.execute())[2]
    if found[0] != str(shards):
        raise ConfigError(
            f"SHARDS: the data in this Redis has {found[0]} shards, not {shards}; "
            f"set SHARDS={found[0]} or use an empty Redis"
        )
    if found[1] == carry_over.OLD_FORMAT:
        await carry_over.carry_over(redis)
        await redis.hset(META, "format", FORMAT_VERSION)
        _log.info("format.carried_over", since=found[1], to=FORMAT_VERSION)
    elif found[1] != str(FORMAT_VERSION):
        raise ConfigError(
            f"REDIS_URL: the data in this Redis has format {found[1]}, "
            f"this Fleetline writes format {FORMAT_VERSION}"
        )


async def _weakness(redis: Any) -> str | None:
    try:
        found = await redis.config_get("append*")
        policy = (await redis.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    except (ResponseError, RedisError):
        # Hosted servers forbid CONFIG; nothing can be said then.
        return None
    if found.get("appendonly") != "yes":
        return "appendonly is off: accepted fixes are lost when Redis dies"
    if found.get("appendfsync") != "always":
        return (
            f"appendfsync is {found.get('appendfsync')}, not always: "
            "the last accepted fixes can be lost when Redis dies"
        )
    if policy != "noeviction":
        return f"maxmemory-policy is {policy}, not noeviction: whole streams can be evicted"
    return None
