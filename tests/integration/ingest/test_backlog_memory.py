"""What waits is bounded by the memory of Redis, each primary's for itself, before Redis is full."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from common.errors import Overloaded
from common.redis.nodes import Nodes
from common.redis.opening import new_nodes
from common.redis.wire import Wire
from common.shards import Shard, Shards
from common.stream.backlog import ADDED, SETTLED
from common.stream.memory import reserve_bytes
from ingest.intake.backlog import Backlog
from ingest.intake.room import FIX_BYTES, UNDER_WAY, ServerRoom
from ingest.intake.writer.turns import Turns
from tests.servers import RedisServer, valkey
from tests.servers.redis_cluster import RedisClusterServers

FIXES_MAX = 10_000_000
EVENT = "x" * 230
# What other workers add: so many entries of so many fixes, and their count.
ADD = """
local pack = string.rep(ARGV[1] .. '\\n', ARGV[3] - 1) .. ARGV[1]
for _ = 1, ARGV[2] do redis.call('XADD', KEYS[1], '*', 'e', pack) end
return redis.call('HINCRBY', KEYS[2], ARGV[4], ARGV[2] * ARGV[3])
"""


@pytest.fixture(scope="module")
def small() -> Iterator[RedisServer]:
    """A Valkey with little memory of its own."""
    with valkey("--maxmemory-policy", "noeviction") as server:
        yield server


@pytest.fixture
def small_server(small: RedisServer) -> RedisServer:
    small.command("CONFIG", "SET", "maxmemory", "0")
    small.command("FLUSHALL")
    return small


@contextlib.asynccontextmanager
async def looking(nodes: Nodes, shards: int) -> AsyncIterator[tuple[Backlog, Shards]]:
    made = Shards("driver-locations", shards)
    await nodes.start()
    turns = Turns(nodes, made, gap_s=0.0, timeout_s=1.5, bytes_max=16_000_000)
    try:
        yield Backlog(nodes, made, turns, FIXES_MAX), made
    finally:
        await nodes.close()


def one_server(server: RedisServer) -> Nodes:
    return Nodes(Wire(server.url, reply_timeout_s=1.5, name="test"))


async def add(wire: Wire, shard: Shard, entries: int, fixes: int = 1) -> None:
    keys = shard.keys
    numbers = (str(entries), str(fixes), ADDED)
    await wire.send("EVAL", ADD, "2", keys.stream, keys.counts, EVENT, *numbers)


async def store(wire: Wire, shard: Shard) -> None:
    """As a consumer does: what waits is settled and trimmed."""
    added = await wire.send("HGET", shard.keys.counts, ADDED)
    await wire.send("XTRIM", shard.keys.stream, "MAXLEN", "0")
    await wire.send("HSET", shard.keys.counts, SETTLED, added)


def memory_of(server: RedisServer) -> int:
    found = re.search(rb"used_memory:(\d+)", server.command("INFO", "memory"))
    assert found is not None
    return int(found[1])


def limit_to(server: RedisServer, more: int) -> int:
    """Let it have so much more than it uses."""
    limit = memory_of(server) + more
    server.command("CONFIG", "SET", "maxmemory", str(limit))
    return limit


def takes(backlog: Backlog, shard: int) -> bool:
    try:
        backlog.capacity.reserve(shard)
    except Overloaded as e:
        assert e.retry_after_s
        return False
    return True


def test_a_server_that_refuses_everything_has_no_room(small_server: RedisServer) -> None:
    """What broke: hours were said to be left of it, since nothing waits."""

    async def main() -> None:
        async with looking(one_server(small_server), 2) as (backlog, _):
            for more, fixes in ((24_000_000, True), (-500_000, False), (24_000_000, True)):
                limit_to(small_server, more)
                await backlog.poll()
                [room] = backlog.servers()
                assert room.memory is not None
                assert room.memory.refuses is not fixes
                assert [bool(r.fixes and r.lasts_s and r.outage_s) for r in room.rooms] == [
                    fixes
                ] * 2

    asyncio.run(main())


@pytest.mark.parametrize("fixes", [1, 16], ids=["single", "packs"])
def test_fixes_are_refused_while_redis_still_has_memory_for_the_rest(
    small_server: RedisServer, fixes: int
) -> None:
    """Live positions and orders are written as before; and room comes back as it drains."""
    limit = limit_to(small_server, 24_000_000)

    async def main() -> None:
        async with looking(one_server(small_server), 2) as (backlog, shards):
            wire = backlog._nodes.wires[0]
            await backlog.poll()
            first = backlog.servers()[0]
            # Less than BACKLOG_MAX, and what it has room for by memory.
            assert first.memory is not None
            assert first.memory.limit_bytes == limit
            assert sum(room.fixes for room in first.rooms) < 22_000_000 / FIX_BYTES
            while takes(backlog, 0):
                for shard in shards:
                    await add(wire, shard, 1024 // fixes, fixes)
                await backlog.poll()
            used = memory_of(small_server)
            assert 0.95 < used / (limit - reserve_bytes(limit)) < 1.05
            assert backlog.capacity.full() == [0, 1]
            # Measured, in fixes and not in entries.
            [server] = backlog.servers()
            assert 230 < server.fix_bytes < FIX_BYTES + 40
            assert [room.lasts_s for room in server.rooms] == [0.0, 0.0]
            await wire.send("HSET", shards[0].keys.live, "d", EVENT)
            # One shard is worked off: both take fixes again.
            await store(wire, shards[0])
            await backlog.poll()
            assert takes(backlog, 0)
            assert takes(backlog, 1)

    asyncio.run(main())


def test_a_redis_that_is_full_of_other_things_refuses_by_itself(small_server: RedisServer) -> None:
    """Nothing waits, so nothing that drains would make room: it is asked all the same."""
    small_server.command("CONFIG", "SET", "maxmemory", "1")

    async def main() -> None:
        async with looking(one_server(small_server), 2) as (backlog, _):
            await backlog.poll()
            assert backlog.capacity.rooms() == [UNDER_WAY, UNDER_WAY]

    asyncio.run(main())


def test_what_is_told_of_an_outage_comes_true(
    small_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 fixes a second in each shard, and none stored: told after a minute, true to a few s."""
    limit_to(small_server, 40_000_000)
    clock = [0.0]
    monkeypatch.setattr("ingest.intake.backlog.time.monotonic", lambda: clock[0])

    async def main() -> None:
        async with looking(one_server(small_server), 2) as (backlog, shards):
            wire = backlog._nodes.wires[0]
            told: list[ServerRoom] = []
            await backlog.poll()
            while clock[0] < 300:
                for shard in shards:
                    await add(wire, shard, 100, 5)
                clock[0] += 1
                await backlog.poll()
                if clock[0] == 60:
                    told = backlog.servers()
                if not all(takes(backlog, shard) for shard in range(2)):
                    break
            said = [room.lasts_s for room in told[0].rooms]
            assert said == [pytest.approx(clock[0] - 60, rel=0.1, abs=3)] * 2
            assert [room.outage_s for room in told[0].rooms] == pytest.approx(said)

    asyncio.run(main())


def test_a_user_who_may_not_ask_is_bounded_by_number(small_server: RedisServer) -> None:
    small_server.command("CONFIG", "SET", "maxmemory", "1")
    small_server.command("ACL", "SETUSER", "plain", "on", "nopass", "~*", "&*", "+@all", "-info")

    async def main() -> None:
        url = small_server.url.replace("//", "//plain:any@")
        nodes = Nodes(Wire(url, reply_timeout_s=1.5, name="test"))
        async with looking(nodes, 1) as (backlog, _):
            await backlog.poll()
            assert backlog.capacity.rooms() == [FIXES_MAX]
            assert backlog.servers()[0].memory is None

    asyncio.run(main())
    small_server.command("ACL", "DELUSER", "plain")


def test_a_primary_that_is_full_stops_its_own_shards_alone(cluster: RedisClusterServers) -> None:
    async def main() -> None:
        nodes = new_nodes(cluster.url, reply_timeout_s=1.5, name="test")
        async with looking(nodes, 6) as (backlog, shards):
            await backlog.poll()
            full = cluster.owner(shards[0].keys.stream)
            theirs = [s.index for s in shards if cluster.owner(s.keys.stream) is full]
            for index in theirs:
                await add(nodes.wire(shards[index]), shards[index], UNDER_WAY // 16 + 1, 16)
            limit = limit_to(full, 0)
            await backlog.poll()
            assert backlog.capacity.full() == theirs
            others = [s.index for s in shards if s.index not in theirs]
            assert all(takes(backlog, index) for index in others)
            # Each primary's bytes are its own.
            by_shards = {tuple(server.shards): server for server in backlog.servers()}
            assert len(by_shards) == 3
            memory = by_shards[tuple(theirs)].memory
            assert memory is not None
            assert memory.limit_bytes == limit
            assert memory.fullness > 0.9
            rest = [s.memory for shards, s in by_shards.items() if shards != tuple(theirs)]
            assert all(each is not None and each.fullness < 0.9 for each in rest)

    try:
        asyncio.run(main())
    finally:
        cluster.command("CONFIG", "SET", "maxmemory", "0")
