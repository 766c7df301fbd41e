"""What a worker counts: fixes that come again with other values, and what a flush took."""

import asyncio

import pytest
from structlog.testing import capture_logs

from common.backoff import Backoff
from consumers.stream.counts import Counts
from tests.shard import GROUP, KEYS, crashing, identities, payload, shard, worker_settings, working
from tests.wait import until

FLUSHES = 20
BREAK = "ALTER TABLE locations RENAME COLUMN speed TO velocity"
MEND = "ALTER TABLE locations RENAME COLUMN velocity TO speed"


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("consumers.keeper.KEEP_EVERY_S", 0.02)
    monkeypatch.setattr("consumers.history.stage.DATABASE_BACKOFF", Backoff(0.01, 0.05))


async def counted(it, name):
    return int(await it.redis.hget(KEYS.counts, name) or 0)


def counts_are(it, name, expected):
    async def reached():
        return await counted(it, name) == expected

    return until(reached, what=f"{name} = {expected}")


def test_other_values_of_a_stored_fix_are_counted_and_repeats_are_not(servers):
    other = [payload(s, speed=float(v)) for s in range(10) for v in range(2, 2 + s % 3)]

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(*[payload(s, speed=1.0) for s in range(20)])
            await it.stored(20)
            # Identical, but for when they arrived: a client that retries.
            await it.add(*[_received_later(payload(s, speed=1.0)) for s in range(20)])
            await it.stored(20)
            assert await counted(it, "conflicts") == 0
            with capture_logs() as said:
                await it.add(*other)
                await it.stored(20)
                assert await counted(it, "conflicts") == len(other)
                # All at once, new ones among them.
                batch = [payload(s, speed=float(v)) for v in (1, 1, 3) for s in range(30)]
                async with it.redis.pipeline(transaction=True) as pipe:
                    for one in batch:
                        pipe.xadd(KEYS.stream, {"e": one})
                    await pipe.execute()
                await it.stored(30)
            assert await counted(it, "conflicts") == len(other) + 30
            first = "SELECT count(*) FROM locations WHERE speed = 1.0"
            assert await it.database.fetchval(first) == 30
            # Said once, however many there are.
            assert len([line for line in said if line["event"] == "history.conflict"]) == 1

    asyncio.run(main())


def _received_later(sent):
    at = sent.rindex(b'"received_at"')
    later = payload(3600)
    return sent[:at] + later[later.rindex(b'"received_at"') :]


def test_a_conflict_that_is_redelivered_is_counted_once(servers, monkeypatch):
    """The crash comes between the commit and the acknowledgement, which counts."""
    from consumers.stream.reader import Reader

    class Killed(BaseException):
        pass

    async def die(reader, ids, conflicts=0):
        raise Killed

    async def main():
        async with shard(*servers) as it:
            async with working(worker_settings(*servers)):
                await it.add(*[payload(s, speed=1.0) for s in range(5)])
                await it.stored(5)
            # Some conflicts, some new, one in conflict within its own batch.
            await it.add(*[payload(s, speed=2.0) for s in range(3, 8)], payload(7, speed=3.0))
            for _ in range(2):
                with monkeypatch.context() as patch:
                    patch.setattr(Reader, "ack", die)
                    async with crashing(worker_settings(*servers)):
                        await until(lambda: _count_is(it, 8))
                        await until(lambda: _pending_is(it, 6))
            assert await counted(it, "conflicts") == 0
            async with working(worker_settings(*servers)):
                await it.stored(8)
            assert await counted(it, "conflicts") == 3

    asyncio.run(main())


async def _count_is(it, count):
    return await it.count() == count


async def _pending_is(it, count):
    return await it.pending() == count


def test_a_full_redis_still_acknowledges_and_counts_later(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(0, speed=1.0))
            await it.stored(1)
            async with it.redis.pipeline(transaction=True) as pipe:
                pipe.xadd(KEYS.stream, {"e": payload(0, speed=2.0)})
                pipe.config_set("maxmemory", 1)
                await pipe.execute()
            try:
                await until(lambda: _pending_is(it, 0))
                await it.stored(1)
                assert await counted(it, "conflicts") == 0
            finally:
                await it.redis.config_set("maxmemory", 0)
            await counts_are(it, "conflicts", 1)

    asyncio.run(main())


def test_twenty_flushes_are_alarms_with_the_number_of_what_they_took(servers):
    """The database is away and the memory full, so that what waits is in Redis alone."""
    each = 100
    settings = worker_settings(
        *servers, history_rows=20, batch_events_max=20, inflight_events_max=40
    )

    async def main():
        async with shard(*servers) as it, working(settings) as worker:
            await it.add(payload(0))
            await it.stored(1)
            await it.database.execute(BREAK)
            with capture_logs() as said:
                for flush in range(FLUSHES):
                    await it.add(*[payload(s, driver=f"lost{flush}") for s in range(each)])
                    await until(lambda: _seen_is(worker, each))
                    await it.redis.flushall()
                    await until(lambda n=flush + 1: _alarms_are(said, n))
            alarms = _alarms(said)
            assert [alarm["entries_lost"] for alarm in alarms] == [each] * FLUSHES
            assert all(0 <= alarm["seen_before_s"] < 2 for alarm in alarms)
            await it.database.execute(MEND)
            await it.add(*[payload(s, driver="after") for s in range(30)])
            await it.stored(31)
            assert await it.rows() == identities([("d1", 0), *[("after", s) for s in range(30)]])
            # A flush took none of the counts with it.
            await counts_are(it, "groups_lost", FLUSHES)
            await counts_are(it, "entries_lost", FLUSHES * each)
        # Nor does a successor forget them.
        async with shard(*servers) as it, working(settings):
            await it.add(payload(1))
            await it.stored(32)
            await it.redis.xgroup_destroy(KEYS.stream, GROUP)
            await counts_are(it, "groups_lost", FLUSHES + 1)
            assert await counted(it, "entries_lost") == FLUSHES * each

    asyncio.run(main())


def _alarms(said):
    return [line for line in said if line["event"] == "group.lost"]


async def _alarms_are(said, count):
    return len(_alarms(said)) == count


async def _seen_is(worker, count):
    """The keeper has seen that many, and the memory was let go of."""
    history, waiting = worker._history, worker._reader.waiting
    return history.held == 0 and (waiting._unread, waiting._pending) == (0, count)


def test_what_is_in_memory_when_redis_is_flushed_is_stored(servers):
    """It was dropped, to be read again from a pending list that was gone."""

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)) as worker:
            await it.add(payload(0))
            await it.stored(1)
            await it.database.execute(BREAK)
            await it.add(*[payload(s) for s in range(1, 31)])
            await until(lambda: _held_is(worker, 30))
            with capture_logs() as said:
                await it.redis.flushall()
                await until(lambda: _alarms_are(said, 1))
            (alarm,) = _alarms(said)
            assert (alarm["entries_lost"], alarm["kept_in_memory"]) == (0, 30)
            await it.add(*[payload(s) for s in range(31, 41)])
            await it.database.execute(MEND)
            await it.stored(41)
            assert await it.rows() == identities([("d1", s) for s in range(41)])
            assert await counted(it, "entries_lost") == 0

    asyncio.run(main())


async def _held_is(worker, count):
    return worker._history.held == count


def test_what_was_in_memory_alone_and_is_let_go_of_is_a_loss_that_is_counted(servers):
    settings = worker_settings(
        *servers, history_rows=20, batch_events_max=20, inflight_events_max=40
    )

    async def main():
        async with shard(*servers) as it, working(settings) as worker:
            await it.add(payload(0))
            await it.stored(1)
            await it.database.execute(BREAK)
            await it.add(*[payload(s) for s in range(1, 11)])
            await until(lambda: _held_is(worker, 10))
            with capture_logs() as said:
                await it.redis.flushall()
                await until(lambda: _alarms_are(said, 1))
                # More than the memory may hold.
                await it.add(*[payload(s) for s in range(100, 200)])
                await counts_are(it, "entries_lost", 10)
            assert sum(x["count"] for x in said if x["event"] == "entries.lost") == 10
            await it.database.execute(MEND)
            await it.stored(101)
            assert await it.rows() == identities([("d1", 0), *[("d1", s) for s in range(100, 200)]])

    asyncio.run(main())


def test_a_group_that_is_gone_while_the_stream_is_there_loses_nothing(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)) as worker:
            await it.add(payload(0))
            await it.stored(1)
            await it.database.execute(BREAK)
            await it.add(*[payload(s) for s in range(1, 31)])
            await until(lambda: _held_is(worker, 30))
            await until(lambda: _waits(worker, 30))
            with capture_logs() as said:
                await it.redis.xgroup_destroy(KEYS.stream, GROUP)
                await until(lambda: _alarms_are(said, 1))
            (alarm,) = _alarms(said)
            assert (alarm["entries_lost"], alarm["stream_left"]) == (0, True)
            await it.database.execute(MEND)
            await it.stored(31)
            assert await it.rows() == identities([("d1", s) for s in range(31)])

    asyncio.run(main())


async def _waits(worker, count):
    return worker._reader.waiting._pending == count


def test_of_two_versions_of_a_count_the_larger_is_right(redis_server):
    from common.redis.wire import Wire

    async def main():
        wire = Wire(redis_server.url, reply_timeout_s=5)
        await wire.start()
        counts = Counts(wire, KEYS.counts)
        await wire.send("HSET", KEYS.counts, "conflicts", 7)
        counts.add("groups_lost", 2)
        await counts.keep()
        assert counts.totals == {"conflicts": 7, "groups_lost": 2, "entries_lost": 0}
        assert await wire.send("HGET", KEYS.counts, "groups_lost") == b"2"
        await wire.send("FLUSHALL")
        await counts.keep()
        assert await wire.send("HMGET", KEYS.counts, *counts.totals) == [b"7", b"2", None]
        await wire.close()

    asyncio.run(main())
