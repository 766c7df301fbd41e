"""Asks Sentinels where the primary is, each time a connection is made.

After a failover the demoted server drops its clients or refuses their writes; either way their
connections are made again, and lead to the new primary.
"""

import asyncio

import hiredis

from common.errors import Overloaded
from common.redis.connection import FAILURES, open_greeted
from common.redis.place import RedisPlace
from common.redis.url import RedisUrl
from common.redis.wire import Link, Locate

# A Sentinel that does not answer within this is passed over.
ASK_TIMEOUT_S = 0.5
_ASKED_BYTES_MAX = 4096


def sentinel_locator(place: RedisPlace) -> Locate:
    """What finds the primary. Raises `Overloaded` while no Sentinel knows one."""

    async def locate() -> RedisUrl:
        trouble = "no Sentinel answers"
        for sentinel in place.servers:
            try:
                found = await _ask(sentinel, place.name)
            except FAILURES as e:
                trouble = str(e) or trouble
                continue
            if found is not None:
                return place.at(*found)
            trouble = f"Sentinel knows no primary of the name {place.name}"
        raise Overloaded(f"Redis: {trouble}")

    return locate


async def _ask(sentinel: RedisUrl, name: str) -> tuple[str, int] | None:
    async with asyncio.timeout(2 * ASK_TIMEOUT_S):
        return await _asked(sentinel, name)


async def _asked(sentinel: RedisUrl, name: str) -> tuple[str, int] | None:
    link = await open_greeted(
        sentinel,
        lambda: Link(ASK_TIMEOUT_S, _ASKED_BYTES_MAX),
        name="fleetline",
        timeout_s=ASK_TIMEOUT_S,
    )
    try:
        reply = await link.add(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name))
    except hiredis.ReplyError as e:
        raise Overloaded(f"Sentinel: {e}") from e
    finally:
        link.fail("asked")
    return None if not reply else (reply[0].decode(), int(reply[1]))
