"""Poison: never twice in the dead letters, never in the way of others, never half the speed."""

import asyncio
import contextlib
import json
import time

import psutil
import pytest

from common.stream.dead_letter import DeadLetter
from consumers.stream.poison.dead_letters import DeadLetterWriter
from tests.clients.opened import opened
from tests.roles.shard import GROUP, KEYS, identities, payload, shard, worker_settings, working
from tests.servers.postgres import PostgresServer
from tests.wait import until

ONE = json.loads(payload(1))


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@pytest.mark.cluster_too
def test_a_letter_whose_reply_was_lost_is_written_once(servers):
    """It is tried again then, though the entry is in the dead letters already."""

    async def main():
        async with shard(*servers) as it:
            (entry_id,) = await it.add(b"poison")
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0")
            await it.redis.xreadgroup(GROUP, "shard-0", {KEYS.stream: ">"})
            async with opened(servers[0]) as nodes:
                wire = nodes.key_wire(KEYS.dead)
                dead = DeadLetterWriter(wire, KEYS, shard=0, group=GROUP)
                letter = DeadLetter(entry_id, b"poison", "", "undecodable", attempts=1)
                for _ in range(5):
                    await dead.write_and_ack([letter], {entry_id: 1})
            assert await it.redis.xlen(KEYS.dead) == 1
            assert await it.pending() == 0

    asyncio.run(main())


# What ingest refuses and a stranger may write. Each of them did harm.
UNSOUND = {
    # The worker crashed when it compared the times, until it gave the entry up as a killer.
    "no zone": {"recorded_at": "2026-01-01T00:00:00"},
    # Redis refused the positions of all drivers in the same command, again and again.
    "no such place": {"longitude": -500.0},
    "beyond the pole": {"latitude": 999.0},
    # It has no day in UTC, so no partition could be made for it, and the shard stood still.
    "a year without a day": {"recorded_at": "0001-01-01T00:00:00+05:00"},
    "no driver": {"driver_id": ""},
    "a long driver": {"driver_id": "x" * 20_000},
    "a long order": {"order_id": "x" * 20_000},
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_decodes_but_cannot_be_is_dead_lettered_and_others_move_on(servers, name):
    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            poison = json.dumps({**ONE, "driver_id": "dx", **UNSOUND[name]}).encode()
            await it.add(payload(1), poison, payload(2))
            await it.stored(2)
            await until(lambda: it.redis.xlen(KEYS.dead))
            (letter,) = await it.dead()
            assert letter[b"payload"] == poison
            assert letter[b"reason"] == b"undecodable"
            assert await it.live("d1") == payload(2)
            assert await it.redis.geopos(KEYS.geo, "d1") != [None]
            assert await it.redis.hlen(KEYS.live) == 1
            assert await it.rows() == identities([("d1", 1), ("d1", 2)])

    asyncio.run(main())


POISON_EVERY = 100
COUNT = 10_000
# As many fixes of the usual length as ingest puts into a pack.
PACK = 17
ROUNDS_MAX = 3


def poisoned(n: int) -> bytes:
    """Half of it cannot be read, half of it the database refuses."""
    if n % (2 * POISON_EVERY) == 0:
        return b"poison-%d" % n
    return payload(n % 3600, driver=f"poison-{n}\x00")


def cpu_s(pids):
    """CPU seconds of this process, in which the worker runs, and of servers."""
    used = time.process_time()
    for pid in pids:
        server = psutil.Process(pid)
        for process in (server, *server.children()):
            with contextlib.suppress(psutil.NoSuchProcess):
                # Its own, and of children that have ended.
                used += sum(process.cpu_times()[:4])
    return used


async def drain_s(servers, pids, payloads):
    """CPU seconds in which a worker works off a stream that was filled before."""
    async with shard(*servers) as it:
        await it.redis.flushall()
        await it.database.execute("TRUNCATE locations")
        for start in range(0, len(payloads), PACK):
            await it.add_pack(*payloads[start : start + PACK])
        began_s = cpu_s(pids)
        async with working(worker_settings(*servers)):
            await until(lambda: _empty(it), timeout_s=60)
            took_s = cpu_s(pids) - began_s
        letters = [fields[b"payload"] for fields in await it.dead()]
        return took_s, letters, await it.count()


async def _empty(it):
    group = (await it.redis.xinfo_groups(KEYS.stream))[:1]
    return group and group[0]["pending"] == 0 and group[0]["lag"] == 0


def test_one_percent_of_poison_costs_less_than_half_of_the_throughput(
    servers, redis_server, databases
):
    """In CPU, which is what bounds it: others may use the machine beside it."""
    pids = list(redis_server.pids)
    if isinstance(databases, PostgresServer):
        pids.append(databases.pid)
    good = [payload(n % 3600, driver=f"d{n // 3600}") for n in range(COUNT)]
    mixed = [poisoned(n) if n % POISON_EVERY == 0 else one for n, one in enumerate(good)]
    ratios = []
    # Until one round holds: what else the servers do counts, too.
    for _ in range(ROUNDS_MAX):
        good_s, letters, stored = asyncio.run(drain_s(servers, pids, good))
        assert (letters, stored) == ([], COUNT)
        mixed_s, letters, stored = asyncio.run(drain_s(servers, pids, mixed))
        assert stored == COUNT - COUNT // POISON_EVERY
        assert sorted(letters) == sorted(mixed[::POISON_EVERY])
        print(f"{good_s / COUNT * 1e6:.0f} µs a fix, with poison {mixed_s / COUNT * 1e6:.0f}")
        ratios.append(mixed_s / good_s)
        if ratios[-1] < 2:
            return
    pytest.fail(f"times as much CPU with poison: {ratios}")
