"""Carries over what a Redis of an earlier format holds, at the first start of this one.

Format 1 named an order's newest event and the marker of its end without a tag; a marker that was
left behind would let a tracking link work again. Formats 1 and 2 had bare numbers as the tags of
shards, see `common.slots`. Each key is renamed: that keeps its content and its time to live, and
doing it twice, or in two processes at once, changes nothing.

Roles of the release before may still run, and write under the old names. What they accept is moved
on by the worker of its shard (`consumers.stream.old_stream`).
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from redis import exceptions as redis_errors

from common.keys import (
    FIRST_EPOCH,
    ShardKeys,
    order_ended_key,
    order_key,
    shard_keys,
    tagged_keys,
)

OLD_FORMATS = frozenset({"1", "2"})
# Keys that one SCAN looks through: a few hundred microseconds of Redis' time.
SCAN_COUNT = 1000

_STEMS = {"order": order_key, "order-ended": order_ended_key}
_STREAM = re.compile(rf"(.+):\{{{FIRST_EPOCH}\.([0-9]+)-[0-9a-z]+\}}", re.DOTALL)
_RATE = re.compile(r"rate:\{([0-9]+)\}:(.+)", re.DOTALL)
# A lease is its holder's, who would not know its new name; a channel and the probe are no keys;
# rates are found by a scan.
_NOT_CARRIED = frozenset({"consumer", "fleet", "probe", "rate"})


def old_shard_keys(stream_name: str, shard: int) -> ShardKeys:
    """The keys of a shard in formats 1 and 2."""
    return tagged_keys(stream_name, f"{{{shard}}}")


def old_stream_name(stream: str) -> str | None:
    """What the stream of a shard of the first layout was called in formats 1 and 2."""
    match = _STREAM.fullmatch(stream)
    return None if match is None else f"{match[1]}:{{{match[2]}}}"


def new_name(key: str) -> str | None:
    """The name in this format of an order's key of format 1, or None when it is not renamed."""
    stem, _, order_id = key.partition(":")
    build = _STEMS.get(stem)
    if build is None or not order_id or order_id.startswith("{"):
        return None
    return build(order_id)


def shard_names(stream_name: str, shards: int) -> Iterator[tuple[str, str]]:
    """Old and new names of the keys of all shards that are carried over."""
    for shard in range(shards):
        old, new = old_shard_keys(stream_name, shard), shard_keys(stream_name, shard, shards)
        for field in fields(ShardKeys):
            if field.name not in _NOT_CARRIED:
                yield getattr(old, field.name), getattr(new, field.name)


def new_rate_name(key: str, stream_name: str, shards: int) -> str | None:
    """The name in this format of a driver's rate, or None when it is not renamed."""
    match = _RATE.fullmatch(key)
    if match is None or int(match[1]) >= shards:
        return None
    return shard_keys(stream_name, int(match[1]), shards).rate + match[2]


async def carry_over(redis: Any, stream_name: str, shards: int) -> int:
    """Rename the keys of older formats in `redis` (redis-py, decoding replies); how many."""
    renamed = 0
    for old, new in shard_names(stream_name, shards):
        renamed += await _rename(redis, old, new)
    for stem in _STEMS:
        async for key in redis.scan_iter(match=f"{stem}:*", count=SCAN_COUNT):
            name = new_name(key)
            if name is not None:
                renamed += await _rename(redis, key, name)
    async for key in redis.scan_iter(match="rate:{*", count=SCAN_COUNT):
        name = new_rate_name(key, stream_name, shards)
        if name is not None:
            renamed += await _rename(redis, key, name)
    return renamed


async def _rename(redis: Any, key: str, name: str) -> bool:
    try:
        return bool(await redis.renamenx(key, name))
    except redis_errors.ResponseError as e:
        # Another process that starts was faster, or the key reached its time to live.
        if "no such key" not in str(e):
            raise
        return False
