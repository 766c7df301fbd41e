"""Deliveries are counted against an entry only where the process died of it."""

import asyncio
import contextlib

import asyncpg
import pytest

from consumers.history.table import HistoryTable
from consumers.stream.group_reader import GroupReader
from consumers.stream.poison.dead_letters import DeadLetterWriter
from tests.faults.killing import DEADLY, killed_in_copy, killed_in_decoding, run_until_dead
from tests.roles.shard import (
    GROUP,
    KEYS,
    Attempts,
    crashing,
    identities,
    new_worker,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until

RESTARTS = 10


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


async def deliveries(it):
    """How often each pending entry was delivered."""
    rows = await it.redis.xpending_range(KEYS.stream, GROUP, "-", "+", 1000)
    return [row["times_delivered"] for row in rows]


@contextlib.asynccontextmanager
async def locked_table(database_url):
    """A migration, or a VACUUM FULL, that takes long."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK locations IN SHARE MODE")
            yield
    finally:
        await connection.close()


async def another_hangs(it, known):
    """Whether a worker waits for the table that is not among the `known` backends; then it is."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    new = {row["pid"] for row in await it.database.fetch(query)} - known
    known |= new
    return new


def test_ordered_restarts_while_the_table_is_locked_bury_nothing(servers):
    """The tenth stop, at the drain deadline, gave healthy fixes up as `killed_the_worker`."""
    settings = worker_settings(*servers, drain_timeout_s=0.1)

    async def main():
        async with shard(*servers) as it:
            async with working(settings):
                # So that there is a partition.
                await it.add(payload(0, driver="first"))
                await it.stored(1)
            await it.add(*[payload(s, driver=f"d{s}") for s in range(20)])
            known: set[int] = set()
            async with locked_table(servers[1]):
                for _ in range(RESTARTS):
                    async with working(settings):
                        await until(lambda: another_hangs(it, known))
                    assert await deliveries(it) == [1] * 20
            async with working(settings):
                await it.stored(21)
            assert await it.dead() == []

    asyncio.run(main())


def test_killed_while_the_database_is_away_counts_once_at_most(servers):
    """What a process outlived is not held against an entry, however the process ends later."""

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(s, driver=f"d{s}") for s in range(20)])
            await it.delivered()
            for _ in range(RESTARTS):
                attempts = Attempts()
                gone = worker_settings(servers[0], "postgresql://fleetline@127.0.0.1:1/fleetline")
                async with crashing(gone, attempts.pace):
                    await attempts.reached(2)
            assert await deliveries(it) == [1] * 20
            async with working(worker_settings(*servers)):
                await it.stored(20)

    asyncio.run(main())


@pytest.mark.parametrize("where", [killed_in_decoding, killed_in_copy])
@pytest.mark.parametrize("before", [0, 1, 60, 450])
def test_an_entry_that_kills_the_process_is_found_and_nobody_else_is(
    servers, monkeypatch, where, before
):
    """Also behind many others, which are stored on the way; also where live dies of it first."""
    where(monkeypatch)
    settings = worker_settings(*servers, history_rows=400)

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(n) for n in range(before)], DEADLY[0])
            await it.add(*[payload(n) for n in range(before, before + 60)])
            crashes = 0
            while await run_until_dead(it, new_worker(settings)):
                crashes += 1
                assert crashes < 25
            async with working(settings):
                await it.stored(before + 60)
            (letter,) = await it.dead()
            assert letter[b"payload"] == DEADLY[0]
            assert letter[b"reason"] == b"killed_the_worker"
            assert await it.rows() == identities([("d1", n) for n in range(before + 60)])
            assert await it.live("deadly") is None or where is killed_in_copy

    asyncio.run(main())


# Every await of the history's step.
STEPS = {
    "reading": (GroupReader, "read_new"),
    "pending": (GroupReader, "pending"),
    "taking": (GroupReader, "take_pending"),
    "counting": (GroupReader, "set_delivery_counts"),
    "lettering": (DeadLetterWriter, "write_and_ack"),
    "connecting": (HistoryTable, "ensure"),
    "storing": (HistoryTable, "store"),
    "witnessing": (HistoryTable, "takes_a_row"),
    "acknowledging": (GroupReader, "acknowledge"),
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_stage_that_is_cancelled_anywhere_leaves_everything_to_its_successor(
    servers, monkeypatch, step, moment
):
    owner, name = STEPS[step]
    real = getattr(owner, name)
    reached = asyncio.Event()

    async def stop_here(*args, **more):
        # Later calls put things right on the way out.
        first, done = not reached.is_set(), None
        if moment == "after" or not first:
            done = await real(*args, **more)
        reached.set()
        if first:
            await asyncio.get_running_loop().create_future()
        return done

    async def main():
        async with shard(*servers) as it:
            await it.database.execute(
                "ALTER TABLE locations ADD CONSTRAINT slow CHECK (speed IS DISTINCT FROM 666)"
            )
            await it.add(*[payload(s) for s in range(5)], b"poison", payload(9, speed=666.0))
            await it.delivered()
            await it.add(*[payload(s) for s in range(20, 25)])
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, stop_here)
                async with crashing(worker_settings(*servers)):
                    async with asyncio.timeout(10):
                        await reached.wait()
            # Nothing of it is held against the entries.
            assert set(await deliveries(it)) <= {1, 2}
            async with working(worker_settings(*servers)):
                await it.stored(10)
                await until(lambda: it.redis.xlen(KEYS.dead))
                await it.settled()
            stored = [*range(5), *range(20, 25)]
            assert await it.rows() == identities([("d1", s) for s in stored])
            reasons = sorted(letter[b"reason"] for letter in await it.dead())
            assert reasons == [b"refused_by_database", b"undecodable"]

    asyncio.run(main())
