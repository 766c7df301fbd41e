"""What a worker does to its shard: old positions, trimming, the lease, and what it refuses."""

import asyncio

import hiredis
import pytest
from structlog.testing import capture_logs

from common.errors import ConfigError
from common.event import decode_event
from common.keys import ENTRY_FIELD, FORMAT_VERSION, META, order_key
from consumers.stream.group_reader import is_group_missing
from consumers.stream.holder import Holder
from consumers.stream.lease import FENCE_STEP, TTL_S, Fenced
from tests.clients.listening import listening
from tests.roles.shard import (
    KEYS,
    delivered_now,
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
        async with (
            shard(*servers) as it,
            listening(it.redis, KEYS.fleet) as fleet,
            working(settings),
        ):
            queue = [delivered_now(-3 * 86_400 + n) for n in range(20)]
            await it.add(*queue)
            await it.stored(20)
            # Behind it on the same way: what was to be shown has been shown.
            fresh = payload_now(driver="d2")
            await it.add(fresh)
            assert await fleet.message() == b"[" + fresh + b"]"
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


@pytest.mark.cluster_too
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
            await it.redis.set(KEYS.consumer, "another-machine/pid:[1]/7/a/other", px=300)
            await it.add(payload(1))
            worker = new_worker(worker_settings(*servers))
            running = asyncio.create_task(worker.run())
            await it.stored(1)
            await it.redis.set(KEYS.consumer, "another-machine/pid:[1]/8/b/other", ex=TTL_S)
            async with asyncio.timeout(10):
                with pytest.raises(Fenced):
                    await running
            assert await it.redis.get(KEYS.consumer) == b"another-machine/pid:[1]/8/b/other"

    asyncio.run(main())


@pytest.mark.cluster_too
def test_a_writer_whose_shard_was_taken_changes_nothing_however_fresh_its_lease(servers):
    """What a lease cannot see: it was frozen, or cut off, between looking at it and writing."""

    async def main():
        async with shard(*servers) as it:
            worker = new_worker(worker_settings(*servers))
            running = asyncio.create_task(worker.run())
            await it.add(payload(1, order="o1"))
            await it.stored(1)
            assert await it.redis.get(KEYS.fence)
            newer = payload(9, order="o1")
            # The other has shown a newer position, and this one is given an older at that moment.
            await it.redis.set(order_key("o1"), newer)
            async with it.redis.pipeline(transaction=True) as pipe:
                pipe.set(KEYS.consumer, "another-machine/pid:[1]/8/b/other", ex=TTL_S)
                pipe.incr(KEYS.fence)
                pipe.hset(KEYS.live, "d1", newer)
                pipe.xadd(KEYS.stream, {ENTRY_FIELD: payload(5, order="o1")})
                await pipe.execute()
            async with asyncio.timeout(10):
                with pytest.raises(Fenced):
                    await running
            assert await it.live("d1") == newer
            # Orders lie elsewhere: what was overwritten there is put back.
            assert await it.redis.get(order_key("o1")) == newer

    asyncio.run(main())


def test_a_lease_that_was_lost_and_taken_again_goes_on_with_its_new_number(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(1))
            await it.stored(1)
            await it.redis.delete(KEYS.consumer)
            await until(lambda: _taken(it, 2))
            await it.add(payload(2))
            await until(lambda: it.live_is("d1", payload(2)))

    asyncio.run(main())


async def _taken(it, times):
    return int(await it.redis.get(KEYS.fence) or 0) // FENCE_STEP == times


def test_a_holder_on_this_machine_that_died_is_replaced_at_once(servers):
    async def main():
        async with shard(*servers) as it:
            gone = Holder.of_this_process()._replace(pid=4194305)
            await it.redis.set(KEYS.consumer, str(gone))
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
