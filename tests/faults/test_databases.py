"""One of two databases goes away under load: the other's drivers do not notice, and all is stored.

With one shard for the drivers of both, and with a shard for each.
"""

import asyncio
from collections.abc import Iterator
from zlib import crc32

import pytest

from common.keys import shard_keys
from tests.roles.several import FIRST, SECOND, eyes, several_settings, two_databases
from tests.roles.shard import GROUP, crashing, identities, payload, shard, working
from tests.servers import RedisServer
from tests.servers.pgbouncer import MODES, Mode, needs_pgbouncer, pgbouncer, through
from tests.servers.postgres import PostgresServer
from tests.wait import until

# Fixes of each driver in a pack; a pack has drivers of both databases.
PACKS = 300
PAGE = 40


@pytest.fixture
def urls(
    postgres_session: PostgresServer, own_postgres: PostgresServer
) -> Iterator[tuple[str, str]]:
    """The second database is on a server that the test may stop."""
    with two_databases(postgres_session, own_postgres) as two:
        yield two


def sent(driver: str, seconds: range) -> list[tuple[str, int]]:
    return [(driver, second) for second in seconds]


async def add(it, seconds: range) -> None:
    for second in seconds:
        fixes = [payload(second, driver=driver) for driver in (FIRST, SECOND)]
        await it.add_pack(*fixes)


async def pending(it, group: str) -> int:
    return int((await it.redis.xpending(it.keys.stream, group))["pending"])


def test_a_dead_database_stops_its_own_drivers_only(
    redis_server: RedisServer, own_postgres: PostgresServer, urls: tuple[str, str]
) -> None:
    settings = several_settings(redis_server.url, urls, shards=1, history_rows=PAGE)

    async def main() -> None:
        async with shard(redis_server.url, urls[0], shards=1) as it, eyes(urls[0]) as first:
            async with crashing(settings):
                await add(it, range(20))
                await until(lambda: has(first, 20))
                own_postgres.stop()
                await add(it, range(20, PACKS))
                # Stored and acknowledged, and shown; what waits lies in the stream.
                await until(lambda: has(first, PACKS))
                await until(lambda: nothing_waits(it, GROUP))
                await until(lambda: it.live_is(SECOND, payload(PACKS - 1, driver=SECOND)))
                assert await pending(it, f"{GROUP}.2") <= PAGE
                assert await it.waiting() >= PACKS - 20 - PAGE
                assert await it.redis.xlen(it.keys.stream) >= PACKS - 20 - PAGE
            # A worker that died, and one that starts while the database is still away.
            async with working(settings):
                await add(it, range(PACKS, PACKS + 20))
                await until(lambda: has(first, PACKS + 20))
                own_postgres.start()
                await until(lambda: is_empty(it), timeout_s=30)
            async with eyes(urls[1]) as second:
                assert await second.rows() == identities(sent(SECOND, range(PACKS + 20)))
            assert await first.rows() == identities(sent(FIRST, range(PACKS + 20)))
            assert await it.dead() == []
            assert await it.waiting() == 0

    asyncio.run(main())


def test_what_is_refused_or_no_event_has_one_letter(
    redis_server: RedisServer, urls: tuple[str, str]
) -> None:
    """Two groups read each entry, and each settles its part."""
    settings = several_settings(redis_server.url, urls, shards=1)
    refused = [payload(1, driver=driver, order="o\x00") for driver in (FIRST, SECOND)]

    async def main() -> None:
        async with shard(redis_server.url, urls[0], shards=1) as it, working(settings):
            good = [payload(2, driver=driver) for driver in (FIRST, SECOND)]
            await it.add_pack(*good, b"{}", b'{"driver_id":"d4","latitude":500}')
            await it.add_pack(*refused, payload(3, driver=SECOND))
            await it.add_pack(b"rubbish")
            await until(lambda: is_empty(it))
            async with eyes(urls[0]) as first, eyes(urls[1]) as second:
                assert await first.rows() == identities([(FIRST, 2)])
                assert await second.rows() == identities([(SECOND, 2), (SECOND, 3)])
            dead = await it.dead()
            entries = [letter[b"id"].partition(b"/") for letter in dead]
            assert len(dead) == len({letter[b"id"] for letter in dead}) == 5
            # Named by their places in the whole pack.
            assert sorted(place for *_, place in entries) == [b"", b"0", b"1", b"2", b"3"]
            assert await it.waiting() == 0

    asyncio.run(main())


@needs_pgbouncer
@pytest.mark.parametrize("mode", MODES)
def test_behind_pgbouncer_a_dead_database_is_one_too(
    redis_server: RedisServer,
    own_postgres: PostgresServer,
    postgres_session: PostgresServer,
    urls: tuple[str, str],
    mode: Mode,
) -> None:
    async def main(poolers: tuple[str, str]) -> None:
        settings = several_settings(redis_server.url, poolers, shards=1, history_rows=PAGE)
        async with shard(redis_server.url, urls[0], shards=1) as it, eyes(urls[0]) as first:
            async with working(settings):
                await add(it, range(50))
                await until(lambda: has(first, 50))
                own_postgres.stop()
                # Some of them twice.
                await add(it, range(40, 150))
                await until(lambda: has(first, 150))
                await until(lambda: nothing_waits(it, GROUP))
                own_postgres.start()
                # A pooler asks a server that was away again after server_login_retry.
                await until(lambda: is_empty(it), timeout_s=60)
            async with eyes(urls[1]) as second:
                assert await second.rows() == identities(sent(SECOND, range(150)))
            assert await first.rows() == identities(sent(FIRST, range(150)))
            assert await it.dead() == []

    with (
        pgbouncer(postgres_session.port, mode) as one,
        pgbouncer(own_postgres.port, mode) as other,
    ):
        asyncio.run(main((through(urls[0], one), through(urls[1], other))))


def test_with_a_shard_for_each_a_worker_knows_one_database(
    redis_server: RedisServer, urls: tuple[str, str]
) -> None:
    settings = several_settings(redis_server.url, urls, shards=4)
    assert (crc32(FIRST.encode()) % 4, crc32(SECOND.encode()) % 4) == (0, 1)

    async def main() -> None:
        async with shard(redis_server.url, urls[0], shards=4) as it, working(settings) as worker:
            assert [history.name for history in worker.parts.histories] == ["history"]
            await it.add(*[payload(n, driver=FIRST) for n in range(10)])
            await it.stored(10)
            groups = await it.redis.xinfo_groups(it.keys.stream)
            assert [group["name"] for group in groups] == [GROUP.encode()]
            other = shard_keys("driver-locations", 1, 4)
            assert not await it.redis.exists(other.stream)

    asyncio.run(main())


async def has(seen, count: int) -> bool:
    return bool(await seen.count() >= count)


async def nothing_waits(it, group: str) -> bool:
    groups = {g["name"].decode(): g for g in await it.redis.xinfo_groups(it.keys.stream)}
    return bool(groups[group]["lag"] == 0 and groups[group]["pending"] == 0)


async def is_empty(it) -> bool:
    return bool(await it.redis.xlen(it.keys.stream) == 0)
