"""Carries over what a Redis of the format before holds, at the first start of this one.

Format 1 named an order's newest event and the marker of its end without a tag. A marker that was
left behind would let a tracking link work again, so each is renamed. Renaming keeps the time to
live, and doing it twice, or in two processes at once, changes nothing.
"""

from typing import Any

from redis import exceptions as redis_errors

from common.keys import order_ended_key, order_key

OLD_FORMAT = "1"
# Keys that one SCAN looks through: a few hundred microseconds of Redis' time.
SCAN_COUNT = 1000

_STEMS = {"order": order_key, "order-ended": order_ended_key}


def new_name(key: str) -> str | None:
    """The name in this format of a key of format 1, or None when it is not renamed."""
    stem, _, order_id = key.partition(":")
    build = _STEMS.get(stem)
    if build is None or not order_id or order_id.startswith("{"):
        return None
    return build(order_id)


async def carry_over(redis: Any) -> int:
    """Rename the keys of format 1 in `redis` (redis-py, decoding replies); how many they were."""
    renamed = 0
    for stem in _STEMS:
        async for key in redis.scan_iter(match=f"{stem}:*", count=SCAN_COUNT):
            name = new_name(key)
            if name is not None and await _rename(redis, key, name):
                renamed += 1
    return renamed


async def _rename(redis: Any, key: str, name: str) -> bool:
    try:
        return bool(await redis.renamenx(key, name))
    except redis_errors.ResponseError as e:
        # Another process that starts was faster, or the key reached its time to live.
        if "no such key" not in str(e):
            raise
        return False
