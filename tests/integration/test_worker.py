"""A worker against real servers: live at once, stored once, acknowledged after the commit."""

import asyncio

import hiredis
import pytest
from structlog.testing import capture_logs

from common.errors import ConfigError
from common.event import decode_event
from common.keys import FORMAT_VERSION, META, order_key
from consumers.stream.group_reader import is_group_missing
from consumers.stream.lease import Fenced, identity
from tests.shard import (
    GROUP,
    KEYS,
    crashing,
    delivered_now,
    identities,
    new_worker,
    payload,
    payload_now,
    shard,
    worker_settings,
    working,
)
from tests.wait import until


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


def test_a_fix_is_on_the_map_with_the_customer_and_in_the_history(servers):
    async def main():
        async with shard(*servers) as it, it.redis.pubsub() as channel:
            await channel.subscribe(order_key("o1"))
            await channel.get_message(timeout=5)
            async with working(worker_settings(*servers)):
                sent = payload(1, order="o1")
                await it.add(sent)
                message = await channel.get_message(timeout=5)
                assert message["data"] == sent
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


def test_full_memory_stops_neither_history_nor_frames_and_heals(servers):
    async def main():
        async with shard(*servers) as it, it.redis.pubsub() as channel:
            await channel.subscribe(order_key("o1"))
            await channel.get_message(timeout=5)
            await it.add(*[payload(s, order="o1") for s in range(10)])
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0")
            await it.redis.hset("fleetline:meta", mapping={"shards": 4, "format": FORMAT_VERSION})
            used = (await it.redis.info("memory"))["used_memory"]
            await it.redis.config_set("maxmemory", used // 2)
            try:
                with pytest.raises(Exception, match="maxmemory"):
                    await it.add(payload(99))
                async with working(worker_settings(*servers)):
                    message = await channel.get_message(timeout=5)
                    assert message["data"] == payload(9, order="o1")
                    await it.stored(10)
                    assert await it.live("d1") is None
                    await it.redis.config_set("maxmemory", 0)
                    await until(lambda: it.live("d1"))
                    assert await it.live("d1") == payload(9, order="o1")
            finally:
                await it.redis.config_set("maxmemory", 0)

    asyncio.run(main())


def test_positions_expire(servers):
    async def main():
        settings = worker_settings(*servers, location_ttl=1)
        async with shard(*servers) as it, working(settings):
            await it.add(payload_now())
            await until(lambda: it.live("d1"))
            await until(lambda: _gone(it))
            assert await it.redis.zcard(KEYS.geo) == await it.redis.zcard(KEYS.seen) == 0

    asyncio.run(main())


async def _gone(it):
    return await it.live("d1") is None


def test_old_positions_are_stored_and_are_not_live(servers):
    """A phone that delivered a queue of days was on the map, and nearby, as of now."""

    async def main():
        settings = worker_settings(*servers, location_ttl=60)
        async with shard(*servers) as it, it.redis.pubsub() as fleet:
            await fleet.subscribe("fleet:0")
            await fleet.get_message(timeout=5)
            async with working(settings):
                queue = [delivered_now(-3 * 86_400 + n) for n in range(20)]
                await it.add(*queue)
                await it.stored(20)
                # Behind it on the same way: what was to be shown has been shown.
                fresh = payload_now(driver="d2")
                await it.add(fresh)
                message = await fleet.get_message(timeout=5)
                assert message["data"] == b"[" + fresh + b"]"
                assert await it.redis.hkeys(KEYS.live) == [b"d2"]
                assert await it.redis.zrange(KEYS.geo, 0, -1) == [b"d2"]
                # The age that counts is that of the position.
                old = await it.redis.zscore(KEYS.seen, "d2")
                assert old == int(decode_event(fresh).recorded_at.timestamp() * 1000)

    asyncio.run(main())


def test_a_group_that_does_not_count_holds_up_nothing_and_is_said_once(servers):
    """`XGROUP CREATE` for a look stopped trimming, and in the end the intake."""

    async def main():
        async with shard(*servers) as it:
            await it.redis.xgroup_create(KEYS.stream, "a look", "0", mkstream=True)
            with capture_logs() as said:
                async with working(worker_settings(*servers)):
                    await it.add(*[payload(s) for s in range(10)])
                    await it.stored(10)
                    await until(lambda: _length_is(it, 0))
                    await it.add(payload(10))
                    await until(lambda: _length_is(it, 0))
            (line,) = [x for x in said if x["event"] == "group.does_not_count"]
            assert line["group"] == "a look"

    asyncio.run(main())


def test_the_stream_is_never_trimmed_past_what_a_group_that_counts_needs(servers):
    async def main():
        async with shard(*servers) as it:
            await it.redis.xgroup_create(KEYS.stream, "analytics", "0", mkstream=True)
            await it.redis.hset(META, "groups", "other, analytics")
            async with working(worker_settings(*servers)):
                await it.add(*[payload(s) for s in range(10)])
                await until(lambda: _counted(it, 10))
            assert await it.redis.xlen(KEYS.stream) == 10
            await it.redis.xreadgroup("analytics", "a", {KEYS.stream: ">"}, count=4, noack=True)
            async with working(worker_settings(*servers)):
                await until(lambda: _length_is(it, 6))

    asyncio.run(main())


async def _length_is(it, length):
    return await it.redis.xlen(KEYS.stream) == length


async def _counted(it, count):
    return await it.count() == count and await it.pending() == 0


def test_a_worker_waits_for_a_living_holder_and_leaves_when_it_is_fenced(servers):
    async def main():
        async with shard(*servers) as it:
            await it.redis.set(KEYS.consumer, "another-machine/pid:[1]/7", px=300)
            await it.add(payload(1))
            worker = new_worker(worker_settings(*servers))
            running = asyncio.create_task(worker.run())
            await it.stored(1)
            await it.redis.set(KEYS.consumer, "another-machine/pid:[1]/8")
            async with asyncio.timeout(10):
                with pytest.raises(Fenced):
                    await running
            assert await it.redis.get(KEYS.consumer) == b"another-machine/pid:[1]/8"

    asyncio.run(main())


def test_a_holder_on_this_machine_that_died_is_replaced_at_once(servers):
    async def main():
        async with shard(*servers) as it:
            gone = identity().rpartition("/")[0] + "/4194305"
            await it.redis.set(KEYS.consumer, gone)
            await it.add(payload(1))
            async with working(worker_settings(*servers)):
                await it.stored(1)

    asyncio.run(main())


def test_another_shard_count_is_refused(servers):
    async def main():
        async with shard(*servers) as it:
            await it.redis.hset("fleetline:meta", mapping={"shards": 9, "format": FORMAT_VERSION})
            worker = new_worker(worker_settings(*servers))
            with pytest.raises(ConfigError, match="SHARDS"):
                await worker.run()

    asyncio.run(main())


def test_redis_refusals_are_told_apart():
    assert is_group_missing(hiredis.ReplyError("NOGROUP No such key"))
    assert not is_group_missing(hiredis.ReplyError("OOM command not allowed"))
    assert not is_group_missing(OSError())
