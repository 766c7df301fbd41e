"""What the data in a Redis was written with decides who may start."""

import asyncio

import pytest

from common.errors import ConfigError
from common.keys import META, order_ended_key, order_key
from common.redis.meta import check_meta, durability_warning
from tests.servers import RedisServer


def test_the_first_start_writes_and_others_must_agree(redis_server: RedisServer) -> None:
    asyncio.run(check_meta(redis_server.url, 4))
    asyncio.run(check_meta(redis_server.url, 4))
    with pytest.raises(ConfigError, match=r"SHARDS: .* has 4 shards, not 7"):
        asyncio.run(check_meta(redis_server.url, 7))


def test_many_first_starts_agree_on_one(redis_server: RedisServer) -> None:
    async def race() -> list[BaseException | None]:
        starts = (check_meta(redis_server.url, shards) for shards in (4, 7, 4, 7, 4))
        return await asyncio.gather(*starts, return_exceptions=True)

    outcomes = asyncio.run(race())
    refused = [isinstance(outcome, ConfigError) for outcome in outcomes]
    assert refused in ([False, True] * 2 + [False], [True, False] * 2 + [True])


def test_another_format_is_refused(redis_server: RedisServer) -> None:
    redis_server.command("HSET", META, "shards", "4", "format", "999")
    with pytest.raises(ConfigError, match="format 999"):
        asyncio.run(check_meta(redis_server.url, 4))


@pytest.mark.parametrize("url", ["http://127.0.0.1", "nonsense"])
def test_what_is_no_url_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        asyncio.run(check_meta(url, 4))


def test_weak_durability_is_said(redis_server: RedisServer) -> None:
    assert asyncio.run(durability_warning(redis_server.url)) is None
    try:
        redis_server.command("CONFIG", "SET", "appendfsync", "everysec")
        assert "everysec" in str(asyncio.run(durability_warning(redis_server.url)))
    finally:
        redis_server.command("CONFIG", "SET", "appendfsync", "always")


def test_a_server_that_forbids_config_is_taken_as_it_is(redis_server: RedisServer) -> None:
    redis_server.command("ACL", "SETUSER", "hosted", "on", ">pw", "~*", "+@all", "-config")
    url = redis_server.url.replace("redis://", "redis://hosted:pw@")
    try:
        assert asyncio.run(durability_warning(url)) is None
        asyncio.run(check_meta(url, 4))
    finally:
        redis_server.command("ACL", "DELUSER", "hosted")


def test_a_redis_of_the_format_before_is_carried_over(redis_server: RedisServer) -> None:
    """A marker left behind under its old name would let a tracking link work again."""
    redis_server.command("HSET", META, "shards", "4", "format", "1")
    redis_server.command("SET", "order-ended:o1", "1", "EX", "1000")
    redis_server.command("SET", "order:o2", "newest", "EX", "1000")

    async def starts() -> None:
        await asyncio.gather(*(check_meta(redis_server.url, 4) for _ in range(4)))

    asyncio.run(starts())
    assert redis_server.command("HGET", META, "format").split()[-1] == b"2"
    assert redis_server.command("GET", order_key("o2")).split()[-1] == b"newest"
    assert 0 < int(redis_server.command("TTL", order_ended_key("o1")).strip(b":\r\n")) <= 1000
    assert redis_server.command("EXISTS", "order:o2", "order-ended:o1") == b":0\r\n"
