"""A worker against real servers: live at once, stored once, acknowledged after the commit."""

import asyncio

import pytest

from common.keys import FORMAT_VERSION, order_key
from tests.clients.listening import listening
from tests.roles.shard import (
    GROUP,
    KEYS,
    crashing,
    identities,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@pytest.mark.cluster_too
def test_a_fix_is_on_the_map_with_the_customer_and_in_the_history(servers):
    async def main():
        async with shard(*servers) as it, listening(it.redis, order_key("o1")) as channel:
            async with working(worker_settings(*servers)):
                sent = payload(1, order="o1")
                await it.add(sent)
                assert await channel.message() == sent
                await it.stored(1)
            assert await it.live("d1") == sent
            assert await it.redis.get(order_key("o1")) == sent
            assert 0 < await it.redis.ttl(order_key("o1")) <= 86_400
            assert await it.redis.zscore(KEYS.seen, "d1")
            (position,) = await it.redis.geopos(KEYS.geo, "d1")
            assert position == pytest.approx((-2.9, 53.4), abs=1e-5)
            assert await it.rows() == identities([("d1", 1)])
            # All acknowledged, so all trimmed; the lease given back.
            assert await it.redis.xlen(KEYS.stream) == 0
            assert not await it.redis.exists(KEYS.consumer)

    asyncio.run(main())


def test_shuffled_fixes_never_move_the_marker_back_and_all_are_stored(servers):
    seconds = [5, 1, 9, 2, 8, 3, 3, 0]

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            for second in seconds:
                await it.add(payload(second, order="o"))
            await it.stored(7)
            assert await it.live("d1") == payload(9, order="o")
            assert await it.redis.get(order_key("o")) == payload(9, order="o")

    asyncio.run(main())


@pytest.mark.cluster_too
def test_what_a_dead_worker_left_is_stored_once_and_first_comes_first(servers):
    async def main():
        settings = worker_settings(*servers, history_linger_ms=5_000)
        async with shard(*servers) as it:
            async with crashing(settings):
                await it.add(*[payload(s, driver=f"d{s % 3}") for s in range(50)])
                await until(lambda: _pending_is(it, 50))
            assert await it.count() == 0
            await it.add(payload(100))
            async with working(worker_settings(*servers)):
                await it.stored(51)
            expected = [(f"d{s % 3}", s) for s in range(50)] + [("d1", 100)]
            assert await it.rows() == identities(expected)

    asyncio.run(main())


async def _pending_is(it, count):
    return await it.pending() == count


def test_rows_that_were_stored_but_not_acknowledged_are_not_doubled(servers):
    async def main():
        async with shard(*servers) as it:
            async with working(worker_settings(*servers)):
                await it.add(*[payload(s) for s in range(20)])
                await it.stored(20)
            # The same fixes again: a client that retried, and a crash between commit and XACK.
            again = [payload(s) for s in range(30)]
            await it.add(*again)
            await it.redis.xreadgroup(GROUP, "shard-0", {KEYS.stream: ">"}, count=15)
            async with working(worker_settings(*servers)):
                await it.stored(30)
            assert await it.rows() == identities([("d1", s) for s in range(30)])
            assert await it.dead() == []

    asyncio.run(main())


def test_a_collision_in_the_middle_of_a_batch_stores_the_rest(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(3, speed=1.0))
            await it.stored(1)
            await it.add(*[payload(s, speed=2.0) for s in range(6)])
            await it.stored(6)
            # The first stays.
            first = "SELECT speed FROM locations ORDER BY recorded_at OFFSET 3 LIMIT 1"
            assert await it.database.fetchval(first) == 1.0

    asyncio.run(main())


def test_entries_of_a_consumer_that_is_gone_are_taken_over(servers):
    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(s) for s in range(10)])
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0")
            await it.redis.xreadgroup(GROUP, "an-old-name", {KEYS.stream: ">"})
            settings = worker_settings(*servers, pending_message_timeout=1)
            async with working(settings):
                await it.stored(10)

    asyncio.run(main())


def test_a_lost_group_is_made_again_and_what_it_had_not_stored_is_read_again(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(1))
            await it.stored(1)
            await it.redis.flushall()
            await it.add(payload(2))
            await it.stored(2)

    asyncio.run(main())


def test_undecodable_entries_become_dead_letters_at_once(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            (bad, *_rest) = await it.add(b'{"driver_id":"dx"}', payload(1), b"\xff\x00", b"")
            await it.redis.xadd(KEYS.stream, {"other": "field"})
            await it.stored(1)
            await until(lambda: _dead_are(it, 4))
            first = (await it.dead())[0]
            assert first[b"id"] == bad
            assert first[b"payload"] == b'{"driver_id":"dx"}'
            assert first[b"driver_id"] == b"dx"
            assert first[b"reason"] == b"undecodable"
            assert first[b"shard"] == b"0"

    asyncio.run(main())


async def _dead_are(it, count):
    return len(await it.dead()) == count


def test_rows_the_database_refuses_are_isolated_counted_and_kept(servers):
    async def main():
        async with shard(*servers) as it:
            await it.database.execute(
                "ALTER TABLE locations ADD CONSTRAINT slow CHECK (speed IS DISTINCT FROM 666)"
            )
            await it.database.execute(
                "ALTER TABLE locations ADD CONSTRAINT named CHECK (accuracy IS DISTINCT FROM 13)"
            )
            good = [payload(s, driver=f"d{s}") for s in range(200)]
            bad = [payload(s, driver="bad", speed=666.0) for s in range(2)]
            bad.append(payload(5, driver="bad", accuracy=13.0))
            await it.add(*good[:70], bad[0], *good[70:71], bad[1], *good[71:], bad[2])
            async with working(worker_settings(*servers)):
                await it.stored(200)
                await until(lambda: _dead_are(it, 3))
            assert await it.rows() == identities([(f"d{s}", s) for s in range(200)])
            letters = await it.dead()
            assert {fields[b"payload"] for fields in letters} == set(bad)
            assert {fields[b"reason"] for fields in letters} == {b"refused_by_database"}
            assert {fields[b"sqlstate"] for fields in letters} == {b"23514"}
            assert {fields[b"attempts"] for fields in letters} == {b"3"}

    asyncio.run(main())


@pytest.mark.cluster_too
def test_full_memory_stops_neither_history_nor_frames_and_heals(servers):
    async def main():
        async with shard(*servers) as it, listening(it.redis, order_key("o1")) as channel:
            await it.add(*[payload(s, order="o1") for s in range(10)])
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0")
            await it.redis.hset("fleetline:meta", mapping={"shards": 4, "format": FORMAT_VERSION})
            used = (await it.redis.info("memory"))["used_memory"]
            await it.redis.config_set("maxmemory", used // 2)
            try:
                with pytest.raises(Exception, match="maxmemory"):
                    await it.add(payload(99))
                async with working(worker_settings(*servers)):
                    assert await channel.message() == payload(9, order="o1")
                    await it.stored(10)
                    assert await it.live("d1") is None
                    await it.redis.config_set("maxmemory", 0)
                    await until(lambda: it.live("d1"))
                    assert await it.live("d1") == payload(9, order="o1")
            finally:
                await it.redis.config_set("maxmemory", 0)

    asyncio.run(main())
