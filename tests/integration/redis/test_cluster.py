"""Connections to a cluster: found by key, led on when slots move, and each for itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from common.errors import ConfigError, Overloaded
from common.keys import ORDER_BUCKETS, order_book_key, order_key
from common.redis.cluster.cluster_nodes import ClusterNodes
from common.redis.kind import require_kind
from common.redis.meta import check_meta, durability_warning
from common.redis.opening import new_nodes
from common.redis.wire import Reply
from common.slots import slot_of
from tests.servers import RedisServer
from tests.servers.redis_cluster import RedisClusterServers
from tests.wait import pace, until


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[ClusterNodes]:
    nodes = new_nodes(url, reply_timeout_s=1.5, name="test")
    assert isinstance(nodes, ClusterNodes)
    await nodes.start()
    try:
        yield nodes
    finally:
        await nodes.close()


async def ask(nodes: ClusterNodes, key: str, *command: str) -> Reply:
    """One command about a key."""
    verb, *more = command
    return await nodes.key_wire(key).send(verb, key, *more)


def test_keys_are_found_on_their_primaries(cluster: RedisClusterServers) -> None:
    async def main() -> None:
        async with connected(cluster.url) as nodes:
            keys = [order_book_key(bucket) for bucket in range(ORDER_BUCKETS)]
            await asyncio.gather(*(ask(nodes, key, "HSET", "n", key) for key in keys))
            found = await asyncio.gather(*(ask(nodes, key, "HGET", "n") for key in keys))
            assert [value.decode() for value in found] == keys
            assert len(nodes.wires) == 3
            counts = [await wire.send("DBSIZE") for wire in nodes.wires]
            # Buckets lie evenly.
            assert max(counts) - min(counts) <= 2

    asyncio.run(main())


def test_what_goes_to_the_wrong_primary_is_led_on(cluster: RedisClusterServers) -> None:
    async def main() -> None:
        async with connected(cluster.url) as nodes:
            key = order_key("o1")
            right = nodes.key_wire(key)
            wrong = next(wire for wire in nodes.wires if wire is not right)
            assert await wrong.send("SET", key, "1") == b"OK"
            # A transaction as a whole, and whatever stands beside it where that is.
            near = next(
                name for n in range(99) if nodes.key_wire(name := order_key(f"p{n}")) is wrong
            )
            commands = [
                ("SET", near, "2"),
                ("MULTI",), ("INCR", key), ("INCR", key), ("EXEC",),
                ("GET", key), ("GET", near),
            ]  # fmt: skip
            replies = await wrong.pipeline_raw(commands)
            assert replies[0] == b"OK"
            assert replies[4] == [2, 3]
            assert replies[5:] == [b"3", b"2"]

    asyncio.run(main())


def test_a_slot_that_moves_under_load_is_not_noticed(cluster: RedisClusterServers) -> None:
    key = "{moving}"
    slot = str(slot_of(key))
    source = cluster.owner(key)
    target = next(node for node in cluster.primaries() if node is not source)
    target_id = target.command("CLUSTER", "MYID").split()[-1]

    async def main() -> None:
        async with connected(cluster.url) as nodes:
            told: list[int] = []
            nodes.on_change(lambda: told.append(1))
            counted, moved = 0, False

            async def count() -> None:
                nonlocal counted
                while not moved or counted % 100:
                    await ask(nodes, key, "INCR")
                    counted += 1

            counting = asyncio.gather(*(count() for _ in range(4)))
            await until(lambda: _true(counted > 50))
            range_ = ("SLOTSRANGE", slot, slot, "NODE", target_id)
            reply = await asyncio.to_thread(source.command, "CLUSTER", "MIGRATESLOTS", *range_)
            assert reply.startswith(b"+OK"), reply
            await until(lambda: _true(nodes.owner(int(slot)) == ("127.0.0.1", target.port)))
            moved = True
            await counting
            assert int(await ask(nodes, key, "GET")) == counted
            await until(lambda: _true(told))

    asyncio.run(main())
    back = source.command("CLUSTER", "MYID").split()[-1]
    target.command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", back)


async def _true(value: object) -> bool:
    return bool(value)


def test_a_slot_that_is_moved_key_by_key_is_asked_where_its_key_is(
    cluster: RedisClusterServers,
) -> None:
    key = "{asked}"
    slot = str(slot_of(key))
    source = cluster.owner(key)
    target = next(node for node in cluster.primaries() if node is not source)
    ids = [node.command("CLUSTER", "MYID").split()[-1] for node in (source, target)]

    async def main() -> None:
        async with connected(cluster.url) as nodes:
            target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
            assert await ask(nodes, key, "SET", "1") == b"OK"
            transaction = [("MULTI",), ("INCR", key), ("EXEC",)]
            replies = await nodes.key_wire(key).pipeline_raw(transaction)
            assert replies[-1] == [2]
            # It is nobody's yet: the map stands.
            assert nodes.owner(int(slot)) == ("127.0.0.1", source.port)
            for node in (target, source):
                node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
            assert await ask(nodes, key, "GET") == b"2"
            await ask(nodes, key, "DEL")

    asyncio.run(main())
    for node in (source, target):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[0])


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_dead_primary_concerns_its_own_keys_alone(cluster: RedisClusterServers, how: str) -> None:
    """One that stands still ends no connection: what waits for it may wait for long."""
    victims = []

    async def main() -> None:
        async with connected(cluster.url) as nodes:
            keys = [order_book_key(bucket) for bucket in range(ORDER_BUCKETS)]
            victim = cluster.owner(keys[0])
            lost = {k for k in keys if nodes.owner(slot_of(k)) == ("127.0.0.1", victim.port)}
            pinned = nodes.pinned(slot_of(keys[0]), reply_timeout_s=60, name="pinned")
            await pinned.start()
            assert await pinned.send("HSET", keys[0], "n", "1") in {0, 1}
            victims.append(victim)
            (victim.kill if how == "killed" else victim.freeze)()
            waiting = pinned.send("XREAD", "BLOCK", 60_000, "STREAMS", stream_beside(keys[0]), "$")
            back = False
            loop = asyncio.get_running_loop()
            began = loop.time()
            while not back:
                assert loop.time() < began + 15
                outcomes = await asyncio.gather(
                    *(ask(nodes, key, "HSET", "n", "2") for key in keys), return_exceptions=True
                )
                failed = {k for k, o in zip(keys, outcomes, strict=True) if o not in (0, 1)}
                assert failed <= lost
                back = not failed
                await pace(0.02)
            await until(lambda: _answers(pinned, keys[0]))
            with pytest.raises(Overloaded):
                await waiting
            await pinned.close()

    try:
        asyncio.run(main())
    finally:
        if how == "frozen":
            for victim in victims:
                victim.thaw()
        cluster.whole()


def stream_beside(key: str) -> str:
    """A key of the same slot, which nobody has."""
    return f"stream-{key}"


async def _answers(wire: object, key: str) -> bool:
    with contextlib.suppress(Overloaded):
        return bool(await wire.send("HGET", key, "n") == b"2")  # type: ignore[attr-defined]
    return False


def test_a_url_of_the_other_kind_is_one_line(
    cluster: RedisClusterServers, one_server: RedisServer
) -> None:
    plain = f"redis://127.0.0.1:{cluster.nodes[0].port}/0"
    other = one_server.url.replace("redis://", "redis+cluster://")

    async def opened(url: str) -> None:
        nodes = new_nodes(url, reply_timeout_s=1.5, name="test")
        await nodes.start()
        try:
            await require_kind(nodes)
        finally:
            await nodes.close()

    for look in (lambda url: check_meta(url, 4), opened):
        with pytest.raises(ConfigError, match=r"node of a Redis Cluster.*redis\+cluster://"):
            asyncio.run(look(plain))
        with pytest.raises(ConfigError, match="no cluster"):
            asyncio.run(look(other))


def test_the_first_start_writes_and_others_must_agree(cluster: RedisClusterServers) -> None:
    asyncio.run(check_meta(cluster.url, 4))
    asyncio.run(check_meta(cluster.url, 4))
    with pytest.raises(ConfigError, match=r"SHARDS: .* has 4 shards, not 7"):
        asyncio.run(check_meta(cluster.url, 7))


def test_weak_durability_of_one_node_is_said(cluster: RedisClusterServers) -> None:
    assert asyncio.run(durability_warning(cluster.url)) is None
    weak = cluster.primaries()[1]
    weak.command("CONFIG", "SET", "appendfsync", "everysec")
    try:
        assert f":{weak.port}: appendfsync" in str(asyncio.run(durability_warning(cluster.url)))
    finally:
        weak.command("CONFIG", "SET", "appendfsync", "always")
