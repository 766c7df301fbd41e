"""What a worker counts: fixes that come again, and what somebody else deleted or flushed."""

import asyncio

import pytest
from structlog.testing import capture_logs

from consumers.stream.counts.counts import Counts
from tests.clients.opened import opened
from tests.roles.shard import (
    GROUP,
    KEYS,
    Attempts,
    identities,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until

FLUSHES = 20
BREAK = "ALTER TABLE locations RENAME COLUMN speed TO velocity"
MEND = "ALTER TABLE locations RENAME COLUMN velocity TO speed"


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


async def counted(it, name):
    return int(await it.redis.hget(KEYS.counts, name) or 0)


def counts_are(it, name, expected):
    async def reached():
        return await counted(it, name) == expected

    return until(reached, what=f"{name} = {expected}")


def losses(said):
    return [line for line in said if line["event"] == "group.lost"]


async def are_said(said, number):
    return len(losses(said)) == number


def test_fixes_that_come_again_are_counted(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(*[payload(s) for s in range(20)])
            await it.stored(20)
            assert await counted(it, "repeats") == 0
            # One after the other, then some of them twice in one page, new ones among them.
            await it.add(*[payload(s) for s in range(10)])
            await it.settled()
            async with it.redis.pipeline(transaction=True) as pipe:
                for again in [payload(s) for s in (*range(30), *range(25, 30))]:
                    pipe.xadd(KEYS.stream, {"e": again})
                await pipe.execute()
            await it.stored(30)
            await counts_are(it, "repeats", 10 + 20 + 5)
            # The first stays.
            assert await it.rows() == identities([("d1", s) for s in range(30)])

    asyncio.run(main())


def test_counts_go_on_after_a_restart(servers):
    async def main():
        async with shard(*servers) as it:
            for restart in range(3):
                async with working(worker_settings(*servers)):
                    await it.add(payload(0), payload(0))
                    await it.settled()
                    await counts_are(it, "repeats", 2 * restart + 1)

    asyncio.run(main())


def test_entries_that_somebody_deleted_are_said_and_counted(servers):
    async def main():
        async with shard(*servers) as it:
            ids = await it.add(*[payload(s) for s in range(10)])
            await it.delivered()
            await it.redis.xdel(KEYS.stream, *ids[:4])
            with capture_logs() as said:
                async with working(worker_settings(*servers)):
                    await it.stored(6)
                    await counts_are(it, "entries_lost", 4)
            assert sum(x["count"] for x in said if x["event"] == "entries.lost") == 4

    asyncio.run(main())


def test_flushes_are_alarms_with_what_was_seen_waiting(servers):
    """The database is away, so that all but a page waits in Redis alone."""
    each = 100
    settings = worker_settings(*servers, history_rows=20)

    async def main():
        async with shard(*servers) as it:
            attempts = Attempts()
            with capture_logs() as said:
                async with working(settings, attempts.pace) as worker:
                    await it.add(payload(0))
                    await it.stored(1)
                    await it.database.execute(BREAK)
                    for flush in range(FLUSHES):
                        await it.add(*[payload(s, driver=f"lost{flush}") for s in range(each)])
                        await until(lambda: has_seen(worker, each))
                        await it.redis.flushall()
                        await until(lambda n=flush + 1: are_said(said, n))
                    await it.database.execute(MEND)
                    await it.add(payload(1))
                    await it.settled()
                    await counts_are(it, "groups_lost", FLUSHES)
            alarms = losses(said)
            assert [alarm["waited"] for alarm in alarms] == [each] * FLUSHES
            assert all(0 <= alarm["seen_before_s"] < 2 for alarm in alarms)
            assert not any(alarm["stream_left"] for alarm in alarms)
            # The page that was in hand is stored all the same.
            assert 2 < await it.count() <= 2 + 20 * FLUSHES
            assert await it.dead() == []

    asyncio.run(main())


async def has_seen(worker, count):
    seen = worker.parts.histories[0].gauge.seen
    return seen is not None and seen.lag + seen.pending == count


def test_a_group_that_is_gone_while_the_stream_is_there_loses_nothing(servers):
    async def main():
        async with shard(*servers) as it:
            attempts = Attempts()
            with capture_logs() as said:
                async with working(worker_settings(*servers), attempts.pace) as worker:
                    await it.add(payload(0))
                    await it.stored(1)
                    await it.database.execute(BREAK)
                    await it.add(*[payload(s) for s in range(1, 31)])
                    await until(lambda: has_seen(worker, 30))
                    await it.redis.xgroup_destroy(KEYS.stream, GROUP)
                    await it.database.execute(MEND)
                    await until(lambda: are_said(said, 1))
                    await it.stored(31)
            assert losses(said)[0]["stream_left"]
            assert await it.rows() == identities([("d1", s) for s in range(31)])

    asyncio.run(main())


def test_redis_that_was_emptied_with_its_clock_behind_is_live_again(servers):
    """New ids are smaller than the cursor then: the live stage would wait for days."""

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.redis.xadd(KEYS.stream, {"e": payload(0)}, id="99999999999999-0")
            await it.stored(1)
            await it.redis.flushall()
            await it.add(payload(5))
            await until(lambda: it.live_is("d1", payload(5)))
            await it.stored(2)

    asyncio.run(main())


async def survive_a_flush(wire, redis_server):
    counts = Counts(wire, KEYS.counts)
    await wire.send("HSET", KEYS.counts, "repeats", 7)
    counts.add("groups_lost", 2)
    counts.add("repeats", 1)
    for _ in range(2):
        await counts.keep()
        assert counts.totals == {"repeats": 8, "groups_lost": 2, "entries_lost": 0}
        assert await wire.send("HGET", KEYS.counts, "groups_lost") == b"2"
    redis_server.clear()
    await counts.keep()
    assert await wire.send("HMGET", KEYS.counts, *counts.totals) == [b"8", b"2", None]


@pytest.mark.cluster_too
def test_counts_survive_a_flush_while_the_worker_lives(redis_server):
    async def main():
        async with opened(redis_server.url) as nodes:
            await survive_a_flush(nodes.key_wire(KEYS.counts), redis_server)

    asyncio.run(main())
