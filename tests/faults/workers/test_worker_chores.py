"""Chores beside the work: one that is refused or late holds up no other; a dead one ends all."""

import asyncio
import contextlib
import itertools

import pytest
from structlog.testing import capture_logs

from tests.clients.listening import listening
from tests.roles.shard import (
    KEYS,
    QUICK,
    Attempts,
    new_worker,
    payload,
    payload_now,
    shard,
    worker_settings,
)
from tests.roles.shard import working as working_quickly
from tests.servers.proxy import proxy_to
from tests.wait import until

# Command of a chore, or of a courtesy, that a hosted server or an ACL takes away.
OPTIONAL = ("client", "pubsub", "config", "xinfo|consumers", "xautoclaim", "xinfo|stream")


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@contextlib.contextmanager
def user_without(redis_server, command):
    """The address of the Redis for a user who may do all but that command."""
    rights = ("on", ">pw", "~*", "&*", "+@all", f"-{command}")
    redis_server.command("ACL", "SETUSER", "fleet", *rights)
    try:
        yield redis_server.url.replace("://", "://fleet:pw@")
    finally:
        redis_server.command("ACL", "DELUSER", "fleet")


# Where CLIENT is refused, redis-py leaves connections to a cluster open.
@pytest.mark.one_redis
@pytest.mark.parametrize("command", OPTIONAL)
def test_a_command_that_is_refused_starves_nothing_else(redis_server, database_url, command):
    """Without PUBSUB nothing was trimmed or expired, and the intake closed in the end."""

    async def main():
        with user_without(redis_server, command) as url:
            await main_as(url)

    async def main_as(url):
        async with (
            shard(redis_server.url, database_url) as it,
            listening(it.redis, KEYS.fleet) as fleet,
        ):
            async with working_quickly(worker_settings(url, database_url, location_ttl=1)):
                await it.add(*[payload_now(driver=f"d{n}") for n in range(50)])
                assert await fleet.message()
                await until(lambda: is_empty(it))
                assert await it.count() == 50
                assert await it.redis.exists(KEYS.consumer)
            assert await it.dead() == []

    asyncio.run(main())


async def is_empty(it):
    """Trimmed and expired."""
    keys = (KEYS.stream, KEYS.live, KEYS.geo, KEYS.seen)
    return [await it.redis.exists(key) for key in keys] == [1, 0, 0, 0] and not (
        await it.redis.xlen(KEYS.stream)
    )


def test_the_lease_holds_while_replies_are_late_within_their_limit(one_server, database_url):
    """With each reply 1.2 s late the shard was nobody's for a fifth of the time."""
    late_s = 1.2

    async def main():
        async with (
            proxy_to(one_server.port) as proxy,
            shard(one_server.url, database_url) as it,
        ):
            url = f"redis://127.0.0.1:{proxy.port}/0"
            beats = []
            worker = new_worker(worker_settings(url, database_url), beat=lambda: beats.append(1))
            running = asyncio.create_task(worker.run())
            await it.add(payload(0))
            await it.stored(1)
            proxy.delay_s = late_s
            lowest_ms = []

            async def renewed_often():
                left_ms = await it.redis.pttl(KEYS.consumer)
                lowest_ms.append(left_ms)
                # The time to live jumps up with each renewal.
                jumps = sum(b > a for a, b in itertools.pairwise(lowest_ms))
                return jumps >= 2

            before = len(beats)
            await until(renewed_often, timeout_s=40)
            # Of the seven seconds: renewed each second, two replies late.
            assert min(lowest_ms) > 3500
            # And it is no standstill.
            assert len(beats) > before
            proxy.delay_s = 0.0
            worker.stop()
            await running

    asyncio.run(main())


def test_a_database_that_never_answers_is_no_standstill(redis_server, database_url):
    """A worker that waits for it, with a predecessor's entries to store, must not be replaced."""

    async def swallow(reader, writer):
        with contextlib.suppress(OSError):
            while await reader.read(1000):
                pass
        writer.close()

    async def main():
        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        deaf = f"postgresql://fleetline@127.0.0.1:{port}/fleetline"
        beats, attempts = [], Attempts()
        async with shard(redis_server.url, database_url) as it:
            await it.add(payload(0))
            await it.delivered()
            settings = worker_settings(redis_server.url, deaf, database_timeout_s=0.2)
            worker = new_worker(settings, attempts.pace, beat=lambda: beats.append(1))
            running = asyncio.create_task(worker.run())
            await attempts.reached(3)
            before = len(beats)
            await attempts.reached(8)
            assert len(beats) >= before + 5
            worker.stop()
            await running
        server.close()

    asyncio.run(main())


NAMES = (
    *("lease", "trim", "gauge", "counts", "settled", "expire", "watched", "population"),
    "old_stream",
    *("live", "history"),
)


# A worker on a cluster has another list: no older release wrote there.
@pytest.mark.one_redis
def test_the_names_are_those_of_all_tasks(servers):
    async def main():
        worker = new_worker(worker_settings(*servers))
        assert {*worker.parts.chores, "live", "history"} == set(NAMES)

    asyncio.run(main())


class Bug(Exception):
    """What nobody expects."""


@pytest.mark.one_redis
@pytest.mark.parametrize("name", NAMES)
def test_a_task_that_dies_ends_the_worker_and_says_so(servers, name):
    """A poll that died was missed by nobody, and what it did was never done again."""

    async def die(*_args, **_more):
        raise Bug(name)

    async def main():
        worker = new_worker(worker_settings(*servers))
        if name in worker.parts.chores:
            worker.parts.chores[name] = (QUICK.chores_s, die)
        else:
            stages = {"live": worker.parts.live, "history": worker.parts.histories[0].stage}
            stages[name].run = die
        with capture_logs() as said:
            async with asyncio.timeout(10):
                with pytest.raises(Bug, match=name):
                    await worker.run()
        assert [x["task"] for x in said if x["event"] == "task.died"] == [name]

    asyncio.run(main())
