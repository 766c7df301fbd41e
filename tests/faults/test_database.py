"""The database goes away, hangs, or fails half-way: live goes on, nothing is lost or doubled."""

import asyncio
import contextlib
import os
import signal
import time

import pytest

from common.keys import order_key
from consumers.progress import Progress
from consumers.worker import Worker
from tests.postgres import postgres
from tests.shard import KEYS, identities, payload, shard, worker_settings, working
from tests.wait import until


@pytest.fixture(scope="module")
def own_postgres():
    with postgres() as server:
        yield server


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
    message = await channel.get_message(timeout=5)
    assert message["data"] == sent
    return time.perf_counter() - started


def test_an_outage_stops_neither_live_nor_memory_bounds_nor_loses_a_row(
    redis_server, own_postgres, own_database
):
    servers = redis_server.url, own_database
    settings = worker_settings(
        *servers, inflight_events_max=400, history_rows=200, batch_events_max=100
    )
    sent = [(f"d{n % 4}", n) for n in range(3000)]

    async def main():
        async with shard(*servers) as it, it.redis.pubsub() as channel, working(settings) as worker:
            await channel.subscribe(order_key("o"))
            await channel.get_message(timeout=5)
            normal = sorted([await live_latency_s(it, channel, n) for n in range(40)])[20]
            await it.stored(40)
            own_postgres.stop()
            for driver, second in sent:
                await it.add(payload(second, driver=driver))
                assert worker._history._ledger.held <= 400
            down = sorted([await live_latency_s(it, channel, 100 + n) for n in range(40)])[20]
            assert down <= max(2 * normal, normal + 0.005)
            assert await it.live("d1") == payload(2997, driver="d1")
            await until(lambda: _pending(it, 3040))
            own_postgres.start()

    async def after():
        async with shard(*servers) as it, working(settings):
            await it.stored(3080)
            probes = [("probe", n) for n in (*range(40), *range(100, 140))]
            assert await it.rows() == identities([*sent, *probes])
            assert await it.dead() == []

    asyncio.run(main())
    asyncio.run(after())


async def _pending(it, count):
    return await it.pending() >= count


def test_the_same_worker_stores_the_backlog_when_the_database_is_back(
    redis_server, own_postgres, own_database
):
    servers = redis_server.url, own_database
    settings = worker_settings(
        *servers, inflight_events_max=400, history_rows=200, batch_events_max=100
    )

    async def main():
        async with shard(*servers) as it, working(settings):
            await it.add(payload(0))
            await it.stored(1)
            own_postgres.stop()
            await it.add(*[payload(n) for n in range(1, 1000)])
            await until(lambda: _pending(it, 999))
            own_postgres.start()
            await until(lambda: _none_pending(it))
        async with shard(*servers) as it:
            assert await it.rows() == identities([("d1", n) for n in range(1000)])
            assert await it.dead() == []
            assert await it.redis.xlen(KEYS.stream) == 0

    asyncio.run(main())


async def _none_pending(it):
    return await it.pending() == 0


def test_a_hanging_backend_is_left_within_its_timeout(redis_server, own_database):
    servers = redis_server.url, own_database
    settings = worker_settings(*servers, database_timeout_s=0.5)
    backend = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fleetline-consumer'"

    async def main():
        async with shard(*servers) as it, working(settings):
            await it.add(payload(0))
            await it.stored(1)
            pid = await it.database.fetchval(backend)
            os.kill(pid, signal.SIGSTOP)
            try:
                started = time.monotonic()
                await it.add(payload(1))
                await it.stored(2)
                assert time.monotonic() - started < 0.5 + 3
            finally:
                os.kill(pid, signal.SIGCONT)
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


def test_a_failure_nobody_knows_is_counted_then_isolated(redis_server, own_database):
    servers = redis_server.url, own_database

    async def main():
        async with shard(*servers) as it:
            await it.database.execute(
                """
                CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.speed = 666 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$
                """
            )
            await it.database.execute(
                "CREATE TRIGGER veto BEFORE INSERT ON locations "
                "FOR EACH ROW EXECUTE FUNCTION veto()"
            )
            await it.add(*[payload(n) for n in range(20)], payload(50, speed=666.0))
            async with working(worker_settings(*servers)):
                await it.stored(20)
            (letter,) = await it.dead()
            assert letter[b"reason"] == b"refused_by_database"
            assert letter[b"sqlstate"] == b"P0001"

    asyncio.run(main())


async def _until_dead_or_buried(worker, it):
    running = asyncio.create_task(worker.run())
    while not running.done() and not await it.dead():
        await asyncio.wait((running,), timeout=0.01)
    worker.stop()
    await running


def test_an_entry_that_kills_the_worker_is_given_up_and_its_neighbours_are_stored(
    redis_server, own_database, monkeypatch
):
    """A stand-in for a process that dies: whoever decodes the entry is cancelled on the spot."""
    servers = redis_server.url, own_database
    deadly = payload(13, driver="deadly")
    from consumers import decode

    class Killed(BaseException):
        pass

    real = decode.decode_event

    def decode_or_die(entry):
        if entry == deadly:
            raise Killed
        return real(entry)

    monkeypatch.setattr(decode, "decode_event", decode_or_die)

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(n) for n in range(60)], deadly, *map(payload, range(60, 120)))
            settings = worker_settings(*servers)
            for _ in range(20):
                if await it.dead():
                    break
                worker = Worker(settings, 0, Progress(("live",), lambda: None))
                with contextlib.suppress(BaseExceptionGroup, Killed):
                    async with asyncio.timeout(10):
                        await _until_dead_or_buried(worker, it)
            async with working(worker_settings(*servers)):
                await it.stored(120)
            (letter,) = await it.dead()
            assert letter[b"payload"] == deadly
            assert letter[b"reason"] == b"killed_the_worker"
            assert await it.rows() == identities([("d1", n) for n in range(120)])

    asyncio.run(main())
