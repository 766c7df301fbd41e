"""The database goes away, hangs, or fails half-way: live goes on, nothing is lost or doubled."""

import asyncio
import time

import pytest

from common.keys import order_key
from tests.clients.listening import listening
from tests.freezing import frozen
from tests.roles.shard import KEYS, identities, payload, shard, worker_settings, working
from tests.wait import until


@pytest.fixture
def own_database(own_postgres):
    name = own_postgres.create_database()
    yield own_postgres.url(name)
    own_postgres.drop_database(name)


async def live_latency_s(it, channel, second):
    """From XADD to the customer's message."""
    sent = payload(second, driver="probe", order="o")
    started = time.perf_counter()
    await it.add(sent)
    assert await channel.message() == sent
    return time.perf_counter() - started


def test_an_outage_stops_neither_live_nor_memory_bounds_nor_loses_a_row(
    redis_server, own_postgres, own_database
):
    servers = redis_server.url, own_database
    settings = worker_settings(*servers, history_rows=200)
    sent = [(f"d{n % 4}", n) for n in range(3000)]

    async def main():
        async with (
            shard(*servers) as it,
            listening(it.redis, order_key("o")) as channel,
            working(settings),
        ):
            normal = sorted([await live_latency_s(it, channel, n) for n in range(40)])[20]
            await it.stored(40)
            own_postgres.stop()
            for driver, second in sent:
                await it.add(payload(second, driver=driver))
                # One page is in hand; the rest waits in the stream.
                assert await it.pending() <= 200
            down = sorted([await live_latency_s(it, channel, 100 + n) for n in range(40)])[20]
            assert down <= max(2 * normal, normal + 0.005)
            assert await it.live("d1") == payload(2997, driver="d1")
            own_postgres.start()

    async def after():
        async with shard(*servers) as it, working(settings):
            await it.stored(3080)
            probes = [("probe", n) for n in (*range(40), *range(100, 140))]
            assert await it.rows() == identities([*sent, *probes])
            assert await it.dead() == []

    asyncio.run(main())
    asyncio.run(after())


def test_the_same_worker_stores_the_backlog_when_the_database_is_back(
    redis_server, own_postgres, own_database
):
    servers = redis_server.url, own_database
    settings = worker_settings(*servers, history_rows=200)

    async def main():
        async with shard(*servers) as it, working(settings):
            await it.add(payload(0))
            await it.stored(1)
            own_postgres.stop()
            await it.add(*[payload(n) for n in range(1, 1000)])
            await until(lambda: it.live_is("d1", payload(999)))
            assert 0 < await it.pending() <= 200
            own_postgres.start()
            await it.settled()
        async with shard(*servers) as it:
            assert await it.rows() == identities([("d1", n) for n in range(1000)])
            assert await it.dead() == []
            assert await it.redis.xlen(KEYS.stream) == 0

    asyncio.run(main())


def test_a_table_that_is_locked_delays_nobody_on_the_map(redis_server, own_database):
    """Live shares nothing with the history but the stream."""
    servers = redis_server.url, own_database

    async def main():
        async with (
            shard(*servers) as it,
            listening(it.redis, order_key("o")) as channel,
            working(worker_settings(*servers)),
        ):
            normal = sorted([await live_latency_s(it, channel, n) for n in range(40)])[20]
            await it.stored(40)
            async with it.database.transaction():
                await it.database.execute("LOCK locations IN SHARE MODE")
                await it.add(*[payload(n) for n in range(1000)])
                hung = sorted([await live_latency_s(it, channel, 100 + n) for n in range(40)])[20]
                assert await it.pending()
            print(
                f"to the customer: {normal * 1000:.1f} ms, with the table locked {hung * 1000:.1f}"
            )
            assert hung <= max(2 * normal, normal + 0.005)
            await it.stored(1080)
            assert await it.dead() == []

    asyncio.run(main())


def test_a_hanging_backend_is_left_within_its_timeout(redis_server, own_database):
    servers = redis_server.url, own_database
    settings = worker_settings(*servers, database_timeout_s=0.5)
    backend = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fleetline-consumer'"

    async def main():
        async with shard(*servers) as it, working(settings):
            await it.add(payload(0))
            await it.stored(1)
            pid = await it.database.fetchval(backend)
            with frozen(pid):
                started = time.monotonic()
                await it.add(payload(1))
                await it.stored(2)
                assert time.monotonic() - started < 0.5 + 3
            assert await it.rows() == identities([("d1", 0), ("d1", 1)])

    asyncio.run(main())


def test_a_partition_that_was_dropped_is_made_again(redis_server, own_database):
    servers = redis_server.url, own_database

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(0))
            await it.stored(1)
            (name,) = await it.database.fetchrow(
                "SELECT inhrelid::regclass::text FROM pg_inherits "
                "WHERE inhparent = 'locations'::regclass"
            )
            await it.database.execute(f"DROP TABLE {name}")
            await it.add(payload(1))
            await it.stored(1)
            assert await it.dead() == []

    asyncio.run(main())
