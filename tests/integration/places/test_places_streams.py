"""The places engine and the streams: who waits for whom, and what is said of entries it missed."""

import asyncio
import contextlib
from datetime import timedelta

import hiredis
import pytest

from common.event import EPOCH
from common.keys import EVENTS_CHANNEL
from common.orders.order import OrderUpdate
from common.orders.store import put
from common.shards import Shards
from consumers.places.holding import HOLD_S, StreamHold
from consumers.places.order_follower import OrderFollower
from consumers.places.publisher import EventPublisher
from consumers.places.reader import ReadTo, StreamReader
from consumers.stream.barrier import CLOSED_ID
from tests.clients.listening import listening
from tests.clients.opened import opened
from tests.freezing import frozen
from tests.roles.places import START as NOW
from tests.roles.shard import KEYS, payload, shard, worker_settings, working
from tests.wait import until

# A worker of the first of them runs.
ONE = Shards("driver-locations", 4)


@pytest.mark.cluster_too
def test_trimming_waits_for_the_engine_while_it_lives(redis_server, database_url):
    servers = redis_server.url, database_url

    async def main():
        async with shard(*servers) as it, opened(redis_server.url) as nodes:
            ids = await it.add(*[payload(n) for n in range(10)])
            hold = StreamHold(nodes, ONE)
            hold.stored = {0: ids[3]}
            await hold.tell()
            async with working(worker_settings(*servers)):
                await it.stored(10)
                await until(lambda: has_length(it, 6), what="what the engine has read is trimmed")
                # Whoever does not know how far it has read keeps what was said.
                hold.stored = {}
                await hold.tell()
                assert 0 < await it.redis.ttl(KEYS.places) <= HOLD_S
                assert await it.redis.get(KEYS.places) == ids[3]
                hold.stored = {0: ids[9]}
                await hold.tell()
                await until(lambda: has_length(it, 0), what="the rest, once it is read")
                # It is dead: nobody says anything, and nobody waits.
                await it.redis.delete(KEYS.places)
                await it.add(payload(20))
                await until(lambda: has_length(it, 0), what="nobody waits")

    async def has_length(it, length):
        return await it.redis.xlen(KEYS.stream) == length

    asyncio.run(main())


@pytest.mark.parametrize("nearly_full", [False, True])
def test_an_engine_that_is_far_behind_is_not_waited_for(
    redis_server, database_url, monkeypatch, nearly_full
):
    """A quarter of BACKLOG_MAX is kept, less in little memory; the engine says what it missed."""
    servers = redis_server.url, database_url
    monkeypatch.setattr("consumers.stream.places_hold.KEPT_WHEN_FULL", 100)
    limits = {} if nearly_full else {"backlog_max": 400}

    async def main():
        async with shard(*servers) as it, opened(redis_server.url) as nodes:
            first, *_ = await it.add(*[payload(n) for n in range(1000)])
            hold = StreamHold(nodes, ONE)
            hold.stored = {0: first}
            await hold.tell()
            reader = StreamReader(nodes, ONE, {0: ReadTo(first, 1)})
            assert await reader.check() == {}
            if nearly_full:
                used = (await it.redis.info("memory"))["used_memory"]
                await it.redis.config_set("maxmemory", int(used / 0.8))
            try:
                async with working(worker_settings(*servers, **limits)):
                    await it.stored(1000)
                    await until(lambda: is_short(it), what="it is trimmed past")
            finally:
                await it.redis.config_set("maxmemory", 0)
            left = await it.redis.xlen(KEYS.stream)
            assert await reader.check() == {0: 999 - left}
            # Said once.
            assert await reader.check() == {}

    async def is_short(it):
        return await it.redis.xlen(KEYS.stream) < 400

    asyncio.run(main())


def test_a_stream_that_began_anew_is_read_from_its_beginning(redis_server, database_url):
    async def main():
        async with shard(redis_server.url, database_url) as it, opened(redis_server.url) as nodes:
            reader = StreamReader(nodes, ONE, {0: ReadTo(b"99999999999999-0", 7)})
            # No stream at all says nothing.
            assert await reader.check() == {}
            await it.add(payload(1))
            assert await reader.check() == {}
            assert reader.places == {0: ReadTo()}
            [page] = await reader.read()
            assert (page.shard, len(page.fixes), page.is_full) == (0, 1, False)
            # Nothing was read before: what is gone was nobody's.
            await it.redis.xtrim(KEYS.stream, maxlen=0, approximate=False)
            assert await StreamReader(nodes, ONE, {0: ReadTo()}).check() == {}

    asyncio.run(main())


def test_what_is_no_fix_is_passed_over(redis_server, database_url):
    async def main():
        async with shard(redis_server.url, database_url) as it, opened(redis_server.url) as nodes:
            await it.add(b"{", payload(1), b"", payload(2))
            [page] = await StreamReader(nodes, ONE, {0: ReadTo()}).read()
            assert [len(page.fixes), page.entries] == [2, 4]

    asyncio.run(main())


def test_orders_are_followed_as_they_change(redis_server, database_url):
    async def main():
        async with shard(redis_server.url, database_url) as it:
            for n in range(3):
                update = OrderUpdate(driver_id=f"d{n % 2}")
                await put(it.database, f"o{n}", update, NOW)
            await put(it.database, "nobodys", OrderUpdate(), NOW)
            async with shard(redis_server.url, database_url) as other:
                follower = OrderFollower(other.database)
                await follower.start()
                assert named(follower) == {"d0": {"o0", "o2"}, "d1": {"o1"}}
                await put(it.database, "o0", OrderUpdate(driver_id="d1"), NOW)
                await put(it.database, "o2", OrderUpdate(driver_id=None), NOW)
                await put(it.database, "o3", OrderUpdate(driver_id="d2"), NOW)
                await until(lambda: follows(follower, {"d1": {"o0", "o1"}, "d2": {"o3"}}))
                await it.database.execute(
                    "UPDATE orders SET state = 'delivered', delivered_at = now(),"
                    " version = version + 1 WHERE order_id = 'o0'"
                )
                await until(lambda: follows(follower, {"d1": {"o1"}, "d2": {"o3"}}))

    def named(follower):
        return {d: {o.order_id for o in orders} for d, orders in follower.orders.items()}

    async def follows(follower, expected):
        await follower.refresh()
        return named(follower) == expected

    asyncio.run(main())


@pytest.mark.cluster_too
def test_the_publisher_goes_on_where_it_was_and_only_one_publishes(redis_server, database_url):
    servers = redis_server.url, database_url

    async def main():
        async with (
            shard(*servers) as it,
            shard(*servers) as one,
            shard(*servers) as two,
            opened(redis_server.url) as nodes,
            listening(it.redis, EVENTS_CHANNEL) as channel,
        ):
            await put(it.database, "o1", OrderUpdate(driver_id="d"), NOW)
            first = EventPublisher(one.database, nodes)
            await first.begin()
            waiting = asyncio.create_task(EventPublisher(two.database, nodes).begin())
            assert await first.publish() == 1
            assert b'"order.assigned"' in await channel.message()
            assert not waiting.done()
            await put(it.database, "o2", OrderUpdate(driver_id="d"), NOW)
            # It is woken by the commit.
            async with asyncio.timeout(5):
                await first.wait()
            # Redis is away: what was not published is published by the next.
            with contextlib.suppress(hiredis.ReplyError):
                await one.database.close()
            async with asyncio.timeout(10):
                await waiting

            second = EventPublisher(two.database, nodes)
            await second.begin()
            assert await second.publish() == 1
            assert b'"o2"' in await channel.message()
            assert await second.publish() == 0

    asyncio.run(main())


def test_what_no_database_takes_is_passed_over(redis_server, database_url):
    """A NUL in a driver's id failed each turn, and no event was ever found out again."""

    async def main():
        async with shard(redis_server.url, database_url) as it, opened(redis_server.url) as nodes:
            await it.add(payload(1), payload(2, driver="poison\x00"), b"{", payload(3))
            reader = StreamReader(nodes, ONE, {0: ReadTo()})
            [page] = await reader.read()
            assert [fix.driver_id for fix in page.fixes] == ["d1", "d1"]
            assert (page.entries, reader.places[0].entries) == (4, 4)

    asyncio.run(main())


def test_a_primary_that_is_away_holds_up_no_other(cluster):
    """What broke: one that did not answer stopped the turns of all shards."""
    victim = cluster.owner(ONE[0].keys.stream)
    there = [s.index for s in ONE if cluster.owner(s.keys.stream) is not victim]
    for each in ONE:
        cluster.command("XADD", each.keys.stream, "*", "e", payload(1).decode())

    async def main():
        async with opened(cluster.url, reply_timeout_s=2) as nodes:
            reader = StreamReader(nodes, ONE, {each.index: ReadTo() for each in ONE})
            with frozen(victim.pid):
                pages = await reader.read()
            assert sorted(page.shard for page in pages) == there
            assert [len(page.fixes) for page in pages] == [1] * len(there)

    asyncio.run(main())
    cluster.whole()


def test_time_stands_still_in_a_stream_that_is_closed(redis_server):
    """What broke: where another old stream was far behind, drivers of this one went offline, though
    they were sending to the new one.
    """

    async def main():
        async with opened(redis_server.url) as nodes:
            stream = ONE[0].keys.stream
            wire = nodes.wire(ONE[0])
            await wire.send("XADD", stream, "5000-1", "e", payload(1))
            reader = StreamReader(nodes, ONE, {0: ReadTo()})
            await reader.check()
            [page] = await reader.read()
            assert page.clock.year > 2000
            await wire.send("XSETID", stream, CLOSED_ID)
            assert await reader.check() == {}
            [page] = await reader.read()
            assert page.clock == EPOCH + timedelta(seconds=5)

    asyncio.run(main())
