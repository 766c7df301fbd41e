"""A worker and packs: their order, what older releases wrote, and the count of what waits."""

import asyncio
import random
from dataclasses import replace

import pytest

from common.keys import order_key
from common.stream.backlog import ADDED, SETTLED
from consumers.stream.entry import Entry
from consumers.stream.group_reader import GroupReader
from tests.clients.listening import listening
from tests.clients.opened import opened
from tests.roles.shard import (
    GROUP,
    KEYS,
    QUICK,
    Attempts,
    identities,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until

AWAY = "postgresql://fleetline@127.0.0.1:1/fleetline"


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@pytest.mark.cluster_too
def test_the_newest_of_a_driver_wins_inside_a_pack_and_across_packs(servers):
    """Whatever order the fixes stand in; customers get nothing older after something newer."""
    rng = random.Random(5)
    seconds = list(range(400))
    rng.shuffle(seconds)

    async def main():
        async with shard(*servers) as it, listening(it.redis, order_key("o")) as channel:
            async with working(worker_settings(*servers), replace(QUICK, page_fixes=50)):
                rest = seconds[:]
                while rest:
                    size = rng.choice((1, 2, 17, 100))
                    await it.add_pack(*[payload(s, order="o") for s in rest[:size]])
                    del rest[:size]
                await it.stored(400)
                assert await it.live_is("d1", payload(399, order="o"))
                assert await it.redis.get(order_key("o")) == payload(399, order="o")
            shown = []
            while (message := await channel.message(timeout_s=0.1)) is not None:
                shown.append(message)
            frames = {payload(s, order="o"): s for s in seconds}
            order = [frames[frame] for frame in shown]
            assert order == sorted(set(order))
            assert order[-1] == 399

    asyncio.run(main())


def test_the_first_of_a_fix_that_comes_twice_in_a_pack_stays(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add_pack(payload(1, speed=10), payload(1, speed=20), payload(1, speed=30))
            await it.stored(1)
            assert await it.database.fetchval("SELECT speed FROM locations") == 10

    asyncio.run(main())


def test_an_upgrade_under_way_stores_old_entries_and_new_ones(servers):
    """Old entries were never counted; they count as one fix each as long as they wait."""

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(n) for n in range(100)])
            # A worker of the release before had some of them in hand.
            await it.delivered()
            await it.add(*[payload(n) for n in range(100, 150)])
            attempts = Attempts()
            gone = worker_settings(servers[0], AWAY)
            async with working(gone, attempts.pace):
                await until(lambda: _waits(it, 150))
                await it.add_pack(*[payload(n) for n in range(150, 175)])
                await it.add_pack(payload(175))
                await attempts.reached(2)
                assert await it.waiting() == 176
            async with working(worker_settings(*servers)):
                await it.stored(176)
                # An ingest of the release before still runs.
                await it.add(payload(176))
                await it.add_pack(payload(177), payload(178))
                await it.stored(179)
                await until(lambda: _waits(it, 0))
            assert await it.rows() == identities([("d1", n) for n in range(179)])
            assert await it.dead() == []

    asyncio.run(main())


def test_an_ingest_that_counts_nothing_beside_one_that_does_hides_no_backlog(servers):
    """Settled fixes of the old one's were taken off what the new one had added: nothing waited."""

    async def main():
        async with shard(*servers) as it:
            async with working(worker_settings(*servers)):
                await it.add(*[payload(n) for n in range(30)])
                await it.stored(30)
            # The totals were last even before those 30.
            await it.redis.hset(KEYS.counts, mapping={ADDED: 0, SETTLED: 30})
            await it.add(*[payload(n) for n in range(30, 50)])
            await it.add_pack(payload(50))
            async with working(worker_settings(servers[0], AWAY)):
                await until(lambda: _waits(it, 21))
            async with working(worker_settings(*servers)):
                await it.stored(51)
                await until(lambda: _waits(it, 0))

    asyncio.run(main())


async def _waits(it, fixes):
    return await it.waiting() == fixes


def test_fixes_are_settled_once_however_often_they_are_acknowledged(servers):
    async def main():
        async with shard(*servers) as it:
            first = await it.add_pack(*[payload(n) for n in range(7)])
            await it.add_pack(*[payload(n) for n in range(7, 10)])
            await it.delivered()
            async with opened(servers[0]) as nodes:
                wire = nodes.key_wire(KEYS.stream)
                reader = GroupReader(wire, KEYS, group=GROUP, consumer="shard-0")
                entry = Entry(first, b"\n".join(payload(n) for n in range(7)))
                for _ in range(3):
                    await reader.acknowledge([entry])
                    assert await it.waiting() == 3
                    assert await it.pending() == 1

    asyncio.run(main())


def test_totals_that_went_astray_are_even_again_once_nothing_waits(servers):
    """Redis died between an entry and its count, or somebody deleted entries."""

    async def main():
        async with shard(*servers) as it:
            await it.redis.hset(KEYS.counts, mapping={ADDED: 1000, SETTLED: 40})
            async with working(worker_settings(*servers)):
                await it.add_pack(payload(1), payload(2))
                await it.stored(2)
                await until(lambda: _waits(it, 0))
                # A flush takes the totals along, and not what is added next.
                await it.redis.flushall()
                await it.add_pack(payload(3), payload(4))
                await it.stored(4)
                await until(lambda: _waits(it, 0))
            assert await it.redis.hget(KEYS.counts, ADDED) == b"2"

    asyncio.run(main())


def test_packs_as_large_as_they_get_come_in_pages_of_a_bounded_size(servers):
    """Behind a page of packs of one the next is asked for by entries, whatever is in them."""

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(n, driver="one") for n in range(300)])
            for start in range(0, 300 * 32, 32):
                await it.add_pack(*[payload(n) for n in range(start, start + 32)])
            await it.add(*[payload(n, driver="two") for n in range(300)])
            async with working(worker_settings(*servers, history_rows=500)):
                await it.stored(600 + 300 * 32)
            assert await it.live_is("two", payload(299, driver="two"))

    asyncio.run(main())
