"""Packs: each fix has its own fate, whatever stands beside it in the entry and whatever dies."""

import asyncio
import random
import signal
import subprocess
import sys

import pytest

from common.errors import SinkUnavailable
from common.stream.dead_letter import CRASHED, REFUSED, UNDECODABLE
from consumers.history.table import HistoryTable
from consumers.stream.group_reader import GroupReader
from tests.faults.killing import DEADLY, killed_in_copy, killed_in_decoding, run_until_dead
from tests.roles.shard import (
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
from tests.stack import environment
from tests.wait import pace, until


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


def refused(second):
    """The database cannot store that id."""
    return payload(second, driver="poison\x00")


def names(letters, reason):
    return [x[b"id"] for x in letters if x[b"reason"] == reason.encode()]


def test_poison_in_a_pack_is_lettered_alone_and_its_neighbours_are_stored(servers):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            pack = [payload(n) for n in range(10)]
            pack[3], pack[7] = b"poison", refused(7)
            first = await it.add_pack(*pack)
            alone = await it.add_pack(b"poison too")
            await it.add_pack(payload(10), payload(11))
            await it.stored(10)
            letters = await it.dead()
            assert sorted(names(letters, UNDECODABLE)) == sorted([b"%s/3" % first, alone])
            assert names(letters, REFUSED) == [b"%s/7" % first]
            stored = [n for n in range(12) if n not in {3, 7}]
            assert await it.rows() == identities([("d1", n) for n in stored])
            assert await it.live_is("d1", payload(11))
            assert await it.waiting() == 0

    asyncio.run(main())


def test_letters_of_a_pack_that_comes_again_are_written_once(servers, monkeypatch):
    """Its neighbours were stored and the process died before it wrote what it knew of the poison,
    or just behind that.
    """
    real = GroupReader.acknowledge

    async def never(self, entries):
        await asyncio.get_running_loop().create_future()

    async def main():
        async with shard(*servers) as it:
            first = await it.add_pack(payload(0), b"poison", payload(1), b"poison", refused(2))
            await it.add_pack(payload(3), payload(4))
            monkeypatch.setattr(GroupReader, "acknowledge", never)
            for _ in range(3):
                async with crashing(worker_settings(*servers)):
                    await until(lambda: _count_is(it, 4))
                    await until(lambda: it.redis.xlen(KEYS.dead))
            monkeypatch.setattr(GroupReader, "acknowledge", real)
            async with working(worker_settings(*servers)):
                await it.stored(4)
            letters = [fields[b"id"] for fields in await it.dead()]
            assert letters == [b"%s/%d" % (first, place) for place in (1, 3, 4)]
            assert await it.waiting() == 0

    asyncio.run(main())


async def _count_is(it, count):
    return await it.count() == count


@pytest.mark.parametrize("where", [killed_in_decoding, killed_in_copy])
@pytest.mark.parametrize("places", [(0,), (99,), (37, 38)])
def test_fixes_of_a_pack_that_kill_are_found_and_no_other_is(servers, monkeypatch, where, places):
    """Also where poison of other kinds stands beside them, before and behind."""
    where(monkeypatch)

    async def main():
        async with shard(*servers) as it:
            await it.add_pack(*[payload(n) for n in range(100, 130)])
            pack = [payload(n) for n in range(100)]
            pack[50], pack[20] = b"poison", refused(1)
            for place in places:
                pack[place] = DEADLY[place % len(DEADLY)]
            entry_id = await it.add_pack(*pack)
            await it.add_pack(*[payload(n) for n in range(130, 160)])
            await it.add(*[payload(n) for n in range(160, 170)])
            crashes, settings = 0, worker_settings(*servers)
            while await run_until_dead(it, new_worker(settings), len(places) + 2):
                crashes += 1
                assert crashes < 35 * len(places)
            async with working(settings):
                await it.settled()
                # The live stage reads for itself, and may come behind.
                await until(lambda: it.live_is("d1", payload(169)))
            letters = await it.dead()
            assert names(letters, CRASHED) == [b"%s/%d" % (entry_id, p) for p in sorted(places)]
            assert names(letters, UNDECODABLE) == [b"%s/50" % entry_id]
            assert names(letters, REFUSED) == [b"%s/20" % entry_id]
            gone = {*places, 20, 50}
            assert await it.rows() == identities([("d1", n) for n in range(170) if n not in gone])

    asyncio.run(main())


def test_an_outage_in_the_middle_of_a_trial_blames_nobody(servers, monkeypatch):
    """Each start is killed while the database is away: the process has said that it lives."""

    async def main():
        async with shard(*servers) as it:
            entry_id = await it.add_pack(*[payload(n) for n in range(50)])
            await it.delivered()
            # A predecessor narrowed it down to the first fix.
            await it.redis.hset(KEYS.cursor, "history_trial", b"%s 0 1 0 0 " % entry_id)
            for _ in range(8):
                attempts = Attempts()
                with monkeypatch.context() as patch:
                    patch.setattr(HistoryTable, "store", _unavailable)
                    async with crashing(worker_settings(*servers), attempts.pace):
                        await attempts.reached(2)
            async with working(worker_settings(*servers)):
                await it.stored(50)
            assert await it.dead() == []
            assert not await it.redis.hexists(KEYS.cursor, "history_trial")

    asyncio.run(main())


async def _unavailable(self, rows, **more):
    if rows:
        raise SinkUnavailable("away")
    return 0


# A worker that dies as a segmentation fault would kill it, where it decodes or stores.
PROGRAM = """
import os, signal, sys
from consumers import worker
from tests.faults import killing
killing.killed_for_real()
sys.exit(worker.main())
"""
ROUNDS = 5


def test_kill_9_in_the_middle_of_packs_with_poison_loses_and_doubles_nothing(servers):
    rng = random.Random(12)
    settings = {"REDIS_URL": servers[0], "DATABASE_URL": servers[1], "LOG_LEVEL": "error"}

    def start():
        command = (sys.executable, "-c", PROGRAM, "--shard", "0")
        return subprocess.Popen(command, env=environment(settings))

    async def main():
        async with shard(*servers) as it:
            good, poison, second = set(), set(), 0
            process = start()
            try:
                for turn in range(ROUNDS):
                    for _ in range(20):
                        size = rng.choice((1, 1, 5, 25, 100, 256))
                        pack = [payload(second + n, driver=f"d{n % 3}") for n in range(size)]
                        good |= {(f"d{n % 3}", second + n) for n in range(size)}
                        second += size
                        if rng.random() < 0.3:
                            bad = rng.choice((b"poison-%d" % second, refused(second)))
                            pack.insert(rng.randrange(size + 1), bad)
                            poison.add(bad)
                        if turn == ROUNDS // 2 and not set(DEADLY) & poison:
                            pack.insert(rng.randrange(size + 1), DEADLY[0])
                            poison.add(DEADLY[0])
                        await it.add_pack(*pack)
                    await pace(0.3 + 1.5 * rng.random())
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    process = start()
                while not await it.is_settled():
                    if process.poll() is not None:
                        process = start()
                    await pace(0.05)
                await until(lambda: _is_even(it))
            finally:
                process.kill()
                process.wait()
            assert await it.rows() == identities(good)
            assert sorted(x[b"payload"] for x in await it.dead()) == sorted(poison)

    asyncio.run(main())


async def _is_even(it):
    return await it.waiting() == 0
