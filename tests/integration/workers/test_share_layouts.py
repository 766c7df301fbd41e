"""What a host's share agent does while the number of shards changes: it closes streams, and runs
the shards of both layouts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from common.errors import Overloaded
from common.keys import META
from common.redis.opening import new_nodes
from common.redis.wire import Wire
from common.settings import load_settings
from common.shards import Shards
from consumers.sharing.membership import Membership
from consumers.stream.barrier import Barrier
from consumers.worker import Worker
from tests.freezing import frozen
from tests.roles.shard import QUICK, worker_settings
from tests.servers import RedisServer
from tests.servers.redis_cluster import RedisClusterServers
from tests.wait import until

OLD = Shards("driver-locations", 4)
NEW = Shards("driver-locations", 8, 2)
CHANGED = {"shards": "8", "epoch": "2", "old_shards": "4", "old_epoch": "1", "old_since": "1"}

Servers = RedisServer | RedisClusterServers


def written(servers: Servers, fields: dict[str, str]) -> None:
    servers.command("DEL", META)
    for name, value in fields.items():
        servers.command("HSET", META, name, value)


@contextlib.asynccontextmanager
async def membership(url: str) -> AsyncIterator[Membership]:
    nodes = new_nodes(url, reply_timeout_s=1.0, name="test")
    await nodes.start()
    # It is not waited for news here.
    news: Wire = nodes.key_wire(META)
    try:
        yield Membership(nodes, news, "me", None, load_settings(redis_url=url, shards=4))
    finally:
        await nodes.close()


def run(url: str, main: Callable[[Membership], Awaitable[None]]) -> None:
    async def begin() -> None:
        async with membership(url) as it:
            await main(it)

    asyncio.run(begin())


def test_old_streams_are_closed_and_refuse_whoever_slept(redis_server: RedisServer) -> None:
    written(redis_server, CHANGED)
    redis_server.command("XADD", OLD[1].keys.stream, "5-1", "e", "x")

    async def main(it: Membership) -> None:
        facts = await it.look()
        assert facts.shards == 12
        # Twice is once.
        await it.look()

    run(redis_server.url, main)
    for shard in OLD:
        assert b"-ERR" in redis_server.command("XADD", shard.keys.stream, "*", "e", "late")
    assert redis_server.command("GET", OLD[1].keys.closed) == b"$3\r\n5-1\r\n"


def test_a_layout_that_redis_forgot_is_said_again(redis_server: RedisServer) -> None:
    """What broke: after a flush the number that was set counted, while ingest wrote elsewhere."""
    written(redis_server, {"shards": "8", "epoch": "2"})

    async def main(it: Membership) -> None:
        await it.look()
        redis_server.command("FLUSHALL")
        facts = await it.look()
        assert facts.shards == 8
        assert it.shards.layout == NEW.layout

    run(redis_server.url, main)
    assert redis_server.command("HMGET", META, "shards", "epoch") == (
        b"*2\r\n$1\r\n8\r\n$1\r\n2\r\n"
    )


def test_a_primary_that_is_away_keeps_its_own_streams_open_alone(
    cluster: RedisClusterServers,
) -> None:
    written(cluster, CHANGED)
    victim = next(s for s in OLD if cluster.owner(s.keys.stream) is not cluster.owner(META))
    others = [
        s for s in OLD if cluster.owner(s.keys.stream) is not cluster.owner(victim.keys.stream)
    ]

    async def main(it: Membership) -> None:
        with frozen(cluster.owner(victim.keys.stream).pid):
            with contextlib.suppress(Exception):
                await it.look()
            for shard in others:
                assert cluster.command("EXISTS", shard.keys.closed) == b":1\r\n"

    run(cluster.url, main)
    cluster.whole()


def test_a_shard_waits_for_those_its_drivers_come_from(redis_server: RedisServer) -> None:
    shards = Shards("driver-locations", 8, 2, OLD.layout)
    written(redis_server, CHANGED)

    async def main() -> None:
        nodes = new_nodes(redis_server.url, reply_timeout_s=1.0, name="test")
        await nodes.start()
        first, second = Barrier(nodes, shards, 5), Barrier(nodes, shards, 2)
        redis_server.command("SET", OLD[1].keys.closed, "5-1")
        redis_server.command("XADD", OLD[1].keys.stream, "5-1", "e", "x")
        assert not await first.is_open()
        redis_server.command("HSET", OLD[1].keys.cursor, "id", "5-1")
        assert await first.is_open()
        assert not await second.is_open()
        # What broke: a worker that was started again once those were removed waited for ever.
        written(redis_server, {"shards": "8", "epoch": "2"})
        assert await second.is_open()
        await nodes.close()

    asyncio.run(main())


def test_who_waits_for_an_older_shard_that_is_away_says_which() -> None:
    """What broke: the log said that Redis is away, while the shard's own primary was well."""
    shards = Shards("driver-locations", 8, 2, OLD.layout)

    async def main() -> None:
        nodes = new_nodes("redis://127.0.0.1:1", reply_timeout_s=1.0, name="test")
        await nodes.start()
        with pytest.raises(Overloaded, match=r"older streams \(.*1.*\) have to be shown first"):
            await Barrier(nodes, shards, 5).is_open()
        await nodes.close()

    asyncio.run(main())


def test_who_is_stopped_while_older_shards_are_shown_gives_the_lease_back(
    redis_server: RedisServer,
) -> None:
    """What broke: the next had to wait until the lease had run out."""
    shards = Shards("driver-locations", 8, 2, OLD.layout)
    written(redis_server, CHANGED)
    key = shards[0].keys.consumer

    async def is_held() -> bool:
        return redis_server.command("EXISTS", key) == b":1\r\n"

    async def main() -> None:
        settings = worker_settings(redis_server.url, "postgresql://nobody@127.0.0.1:9/none")
        worker = Worker(settings, 0, lambda: None, QUICK, shards=shards)
        running = asyncio.create_task(worker.run())
        await until(is_held)
        worker.stop()
        await running
        assert not await is_held()

    asyncio.run(main())
