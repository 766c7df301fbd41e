"""What the data in a Redis was written with decides who may start."""

import asyncio

import pytest

from common.errors import ConfigError
from common.keys import CARRIED_FROM, FORMAT_VERSION, META, order_ended_key, order_key
from common.redis.meta import check_meta, durability_warning
from common.shards import Shards
from tests.roles.shard import payload, shard, worker_settings, working
from tests.servers import RedisServer


def test_the_first_start_writes_and_others_must_agree(one_server: RedisServer) -> None:
    asyncio.run(check_meta(one_server.url, 4))
    asyncio.run(check_meta(one_server.url, 4))
    with pytest.raises(ConfigError, match=r"SHARDS: .* has 4 shards, not 7"):
        asyncio.run(check_meta(one_server.url, 7))


def test_many_first_starts_agree_on_one(one_server: RedisServer) -> None:
    async def race() -> list[BaseException | None]:
        starts = (check_meta(one_server.url, shards) for shards in (4, 7, 4, 7, 4))
        return await asyncio.gather(*starts, return_exceptions=True)

    outcomes = asyncio.run(race())
    refused = [isinstance(outcome, ConfigError) for outcome in outcomes]
    assert refused in ([False, True] * 2 + [False], [True, False] * 2 + [True])


def test_another_format_is_refused(one_server: RedisServer) -> None:
    one_server.command("HSET", META, "shards", "4", "format", "999")
    with pytest.raises(ConfigError, match="format 999"):
        asyncio.run(check_meta(one_server.url, 4))


@pytest.mark.parametrize("url", ["http://127.0.0.1", "nonsense"])
def test_what_is_no_url_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        asyncio.run(check_meta(url, 4))


def test_weak_durability_is_said(one_server: RedisServer) -> None:
    assert asyncio.run(durability_warning(one_server.url)) is None
    try:
        one_server.command("CONFIG", "SET", "appendfsync", "everysec")
        assert "everysec" in str(asyncio.run(durability_warning(one_server.url)))
    finally:
        one_server.command("CONFIG", "SET", "appendfsync", "always")


def test_a_server_that_forbids_config_is_taken_as_it_is(one_server: RedisServer) -> None:
    one_server.command("ACL", "SETUSER", "hosted", "on", ">pw", "~*", "+@all", "-config")
    url = one_server.url.replace("redis://", "redis://hosted:pw@")
    try:
        assert asyncio.run(durability_warning(url)) is None
        asyncio.run(check_meta(url, 4))
    finally:
        one_server.command("ACL", "DELUSER", "hosted")


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_redis_of_a_format_before_is_carried_over(one_server: RedisServer, version: str) -> None:
    """A marker left behind under its old name would let a tracking link work again, and a stream
    that was left behind is fixes that were accepted and are never stored.
    """
    command = one_server.command
    command("HSET", META, "shards", "4", "format", version)
    command("SET", "order-ended:o1", "1", "EX", "1000")
    command("SET", "order:o2", "newest", "EX", "1000")
    command("XGROUP", "CREATE", "driver-locations:{2}", "g", "0", "MKSTREAM")
    entry_id = command("XADD", "driver-locations:{2}", "*", "e", "fix").split()[-1]
    command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "driver-locations:{2}", ">")
    command("XADD", "dead:{1}", "*", "payload", "x")
    command("HSET", "cursor:{2}", "id", entry_id)
    command("HSET", "live:{0}", "d", "event")
    command("GEOADD", "geo:{0}", "1", "2", "d")
    command("SET", "rate:{3}:d", "17", "EX", "1000")
    command("SET", "consumer:{0}", "an old one", "EX", "1000")

    async def starts() -> None:
        await asyncio.gather(*(check_meta(one_server.url, 4) for _ in range(4)))

    asyncio.run(starts())
    keys = [shard.keys for shard in Shards("driver-locations", 4)]
    assert command("HGET", META, "format").split()[-1] == b"%d" % FORMAT_VERSION
    assert command("HGET", META, CARRIED_FROM).split()[-1] == version.encode()
    assert command("GET", order_key("o2")).split()[-1] == b"newest"
    assert 0 < int(command("TTL", order_ended_key("o1")).strip(b":\r\n")) <= 1000
    assert command("XLEN", keys[2].stream) == command("XLEN", keys[1].dead) == b":1\r\n"
    assert entry_id in command("XPENDING", keys[2].stream, "g", "-", "+", "9")
    assert command("HGET", keys[2].cursor, "id").split()[-1] == entry_id
    assert command("HGET", keys[0].live, "d").split()[-1] == b"event"
    assert command("ZSCORE", keys[0].geo, "d") != b"$-1\r\n"
    assert command("GET", f"{keys[3].rate}d").split()[-1] == b"17"
    # A lease is its holder's, who may still live.
    assert command("EXISTS", keys[0].consumer) == b":0\r\n"
    left = ("order:o2", "order-ended:o1", "driver-locations:{2}", "live:{0}", "rate:{3}:d")
    assert command("EXISTS", *left) == b":0\r\n"


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_an_old_role_writes_meanwhile_is_moved_on(
    one_server: RedisServer, database_url: str, version: str
) -> None:
    """A system is upgraded role by role: an old ingest still accepts while new consumers run."""
    command = one_server.command
    command("HSET", META, "shards", "4", "format", version)

    async def main() -> None:
        settings = worker_settings(one_server.url, database_url)
        async with shard(one_server.url, database_url) as it:
            await it.redis.xadd("driver-locations:{0}", {"e": payload(1)})
            async with working(settings):
                await it.stored(1)
                await it.redis.xadd("driver-locations:{0}", {"e": payload(2)})
                await it.redis.xadd("driver-locations:{0}", {"e": payload(3)})
                await it.stored(3)
                assert await it.redis.xlen("driver-locations:{0}") == 0
                assert await it.waiting() == 0

    asyncio.run(main())
