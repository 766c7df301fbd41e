"""The hash `fleetline:meta`: what the data in this Redis was written with.

A different shard count would re-home drivers: their newest position and the order of their
fixes would be split over two writers. So each role compares its settings with this hash before it
starts; the first start of all writes it. Once the number was changed (`fleetline reshard`) the
hash alone says it, and SHARDS is only what a new system begins with.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError

from common import log
from common.errors import ConfigError, Overloaded
from common.keys import CARRIED_FROM, FIRST_EPOCH, FORMAT_VERSION, META, STREAM_NAME
from common.layout import FIELDS, UnreadableLayout, read_layouts
from common.redis.carry_over import OLD_FORMATS, carry_over
from common.redis.client import async_client_at, new_async_client
from common.redis.kind import IS_A_CLUSTER, IS_NO_CLUSTER
from common.redis.place import PlaceKind, parse_place
from common.redis.sentinel import sentinel_locator
from common.redis.weakness import durability_of

_log = log.get("meta")

_NO_CLUSTER = "Cluster mode is not enabled"


async def check_meta(redis_url: str, shards: int, stream_name: str = STREAM_NAME) -> None:
    """Write, or compare with, what the first start wrote; warn of weak durability.

    Raises `ConfigError` when it differs or the URL is refused, `RedisError` or `OSError` when the
    server does not answer.
    """
    is_cluster = parse_place(redis_url).is_cluster
    async with _opened(redis_url) as redis:
        try:
            await _check(redis, shards, stream_name, is_cluster=is_cluster)
        except AuthenticationError as e:
            raise ConfigError(f"REDIS_URL: {e}") from e
        warning = await durability_of(redis, is_cluster=is_cluster)
        if warning is not None:
            _log.warning("redis.weak_durability", detail=warning)


async def durability_warning(redis_url: str) -> str | None:
    """One line about why an accepted fix could be lost by this Redis, None if all is well."""
    async with _opened(redis_url) as redis:
        return await durability_of(redis, is_cluster=parse_place(redis_url).is_cluster)


@contextlib.asynccontextmanager
async def _opened(redis_url: str) -> AsyncIterator[Any]:
    """A client that decodes replies; raises `ConfigError` and `RedisError` as `check_meta` does."""
    place = parse_place(redis_url)
    if place.kind is PlaceKind.SENTINEL:
        try:
            client = async_client_at(await sentinel_locator(place)())
        except Overloaded as e:
            raise RedisError(str(e)) from e
    else:
        client = new_async_client(redis_url)
    try:
        try:
            if place.is_cluster:
                await client.initialize()
            else:
                await _require_no_cluster(client)
        except AuthenticationError as e:
            raise ConfigError(f"REDIS_URL: {e}") from e
        except RedisClusterException as e:
            if _NO_CLUSTER in f"{e} {e.__cause__}":
                raise ConfigError(IS_NO_CLUSTER) from e
            # It is no `RedisError`, though it says that servers do not answer.
            raise RedisError(str(e)) from e
        yield client
    finally:
        await client.aclose()


async def _require_no_cluster(redis: Any) -> None:
    """Each command would be answered with MOVED, which looks like a Redis that refuses."""
    try:
        facts = await redis.info("cluster")
    except AuthenticationError:
        raise
    except ResponseError:
        # Hosted servers may forbid it.
        return
    if facts.get("cluster_enabled"):
        raise ConfigError(IS_A_CLUSTER)


async def _check(redis: Any, shards: int, stream_name: str, *, is_cluster: bool) -> None:
    found = await redis.hmget(META, "shards", "format")
    if None in found:
        # Only the first start writes: a full Redis refuses that, and must not stop later ones.
        # Whoever writes a field first has decided it; there is nothing between the two.
        await redis.hsetnx(META, "shards", shards)
        await redis.hsetnx(META, "format", FORMAT_VERSION)
        found = await redis.hmget(META, "shards", "format")
    try:
        layouts = read_layouts(await redis.hmget(META, FIELDS))
    except UnreadableLayout as e:
        raise ConfigError(f"REDIS_URL: {e}") from e
    if layouts is not None and layouts.now.epoch == FIRST_EPOCH and layouts.now.shards != shards:
        there = layouts.now.shards
        raise ConfigError(
            f"SHARDS: the data in this Redis has {there} shards, not {shards}; "
            f"set SHARDS={there} or use an empty Redis"
        )
    if found[1] in OLD_FORMATS and not is_cluster:
        await redis.hset(META, CARRIED_FROM, found[1])
        await carry_over(redis, stream_name, shards)
        await redis.hset(META, "format", FORMAT_VERSION)
        _log.info("format.carried_over", since=found[1], to=FORMAT_VERSION)
    elif found[1] != str(FORMAT_VERSION):
        raise ConfigError(
            f"REDIS_URL: the data in this Redis has format {log.printable(found[1][:20])}, "
            f"this Fleetline writes format {FORMAT_VERSION}"
        )


async def carry_over_again(redis_url: str, shards: int, stream_name: str) -> None:
    """What roles of an older release wrote since the first of this one started."""
    if parse_place(redis_url).is_cluster:
        return
    async with _opened(redis_url) as redis:
        carried, epoch = await redis.hmget(META, CARRIED_FROM, "epoch")
        # Once the number was changed there are no keys that such a role's could become.
        if carried is not None and int(epoch or FIRST_EPOCH) == FIRST_EPOCH:
            await carry_over(redis, stream_name, shards)
