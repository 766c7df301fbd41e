"""Faults after which a worker once stayed stuck, or lost what was healthy."""

import asyncio
import contextlib

import pytest

from common.errors import ConfigError
from common.keys import FORMAT_VERSION, order_key
from tests.roles.shard import (
    GROUP,
    KEYS,
    Attempts,
    identities,
    new_worker,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


async def pending_is(it, count):
    return await it.pending() == count


@pytest.mark.parametrize("how", ["read-only", "locked"])
def test_a_table_that_cannot_be_written_dead_letters_nothing(servers, how):
    """Each failing page raised the delivery counts, until healthy entries passed for killers."""
    settings = worker_settings(*servers, database_timeout_s=0.2)

    async def main():
        async with shard(*servers) as it:
            await it.add(*[payload(s) for s in range(60)])
            await it.delivered()
            name = await it.database.fetchval("SELECT current_database()")
            if how == "read-only":
                await it.database.execute(
                    f"ALTER DATABASE {name} SET default_transaction_read_only = on"
                )
            else:
                locking = it.database.transaction()
                await locking.start()
                await it.database.execute("LOCK locations IN SHARE MODE")
            attempts = Attempts()
            async with working(settings, attempts.pace):
                await attempts.reached(12)
                deliveries = (await it.redis.xpending_range(KEYS.stream, GROUP, "-", "+", 1))[0]
                assert deliveries["times_delivered"] == 1
                assert await it.dead() == []
                if how == "read-only":
                    await it.database.execute("SET default_transaction_read_only = off")
                    await it.database.execute(
                        f"ALTER DATABASE {name} RESET default_transaction_read_only"
                    )
                else:
                    await locking.rollback()
                await it.stored(60)

    asyncio.run(main())


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE locations RENAME COLUMN speed TO velocity",
        "ALTER FUNCTION fleetline_ensure_partitions(date[]) RENAME TO elsewhere",
    ],
)
def test_a_schema_that_does_not_fit_dead_letters_nothing(servers, damage):
    mend = {
        "velocity": "ALTER TABLE locations RENAME COLUMN velocity TO speed",
        "elsewhere": "ALTER FUNCTION elsewhere(date[]) RENAME TO fleetline_ensure_partitions",
    }[damage.rsplit(" ", 1)[1]]

    async def main():
        async with shard(*servers) as it:
            await it.database.execute(damage)
            attempts = Attempts()
            async with working(worker_settings(*servers), attempts.pace):
                await it.add(*[payload(s) for s in range(40)])
                await attempts.reached(4)
                assert await it.dead() == []
                await it.database.execute(mend)
                await it.stored(40)

    asyncio.run(main())


@pytest.mark.cluster_too
def test_redis_that_froze_and_was_killed_is_found_again(redis_server, database_url):
    """The connection was lost while a reply was awaited on it: nobody looked again."""
    servers = redis_server.url, database_url

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)) as worker:
            await it.add(payload(0))
            await it.stored(1)
            redis_server.freeze()
            redis_server.kill()
            redis_server.start()
            await until(lambda: both_up(worker), timeout_s=20)
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(1))
            await it.stored(2)

    asyncio.run(main())


async def both_up(worker):
    return all(wire.up for wire in worker.parts.wires.all)


def test_poison_in_a_full_redis_does_not_stop_the_history(servers):
    """A letter that cannot be written was tried again for ever, and nothing behind it stored."""
    settings = worker_settings(*servers, pending_message_timeout=20)

    async def main():
        async with shard(*servers) as it:
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0", mkstream=True)
            await it.redis.hset("fleetline:meta", mapping={"shards": 4, "format": FORMAT_VERSION})
            await it.add(b"poison", *[payload(s) for s in range(50)])
            await it.redis.config_set("maxmemory", 1)
            try:
                async with working(settings):
                    await until(lambda: pending_is(it, 1))
                    assert await it.count() == 50
                    # Its entry is tried again, and more can be stored meanwhile.
                    await until(lambda: touched(it))
                    deliveries = await it.redis.xpending_range(KEYS.stream, GROUP, "-", "+", 1)
                    assert deliveries[0]["times_delivered"] == 1
                    await it.redis.config_set("maxmemory", 0)
                    await until(lambda: pending_is(it, 0))
            finally:
                await it.redis.config_set("maxmemory", 0)
            (letter,) = await it.dead()
            assert letter[b"payload"] == b"poison"

    asyncio.run(main())


async def touched(it):
    """Whether the oldest pending entry was taken in hand again, after it had lain a while."""
    rows = await it.redis.xpending_range(KEYS.stream, GROUP, "-", "+", 1)
    lain_ms = rows[0]["time_since_delivered"]
    it.lain_ms, before_ms = lain_ms, getattr(it, "lain_ms", 0)
    return lain_ms < before_ms


def test_much_state_that_a_full_redis_refused_is_written_later_in_pieces(servers, monkeypatch):
    """All that was refused went along with every batch, until a batch was too large to send."""
    monkeypatch.setattr("consumers.live.stage.WRITE_AT_ONCE", 100)

    async def main():
        async with shard(*servers) as it:
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0", mkstream=True)
            await it.redis.hset("fleetline:meta", mapping={"shards": 4, "format": FORMAT_VERSION})
            await it.add(*[payload(1, driver=f"d{n}", order=f"o{n}") for n in range(1000)])
            await it.redis.config_set("maxmemory", 1)
            try:
                async with working(worker_settings(*servers)):
                    await it.stored(1000)
                    assert await it.redis.hlen(KEYS.live) == 0
                    await it.redis.config_set("maxmemory", 0)
                    await until(lambda: all_live(it, 1000))
                    assert await it.redis.get(order_key("o999"))
            finally:
                await it.redis.config_set("maxmemory", 0)

    asyncio.run(main())


async def all_live(it, count):
    return await it.redis.hlen(KEYS.live) == count


def test_an_order_that_changed_drivers_does_not_go_back(servers):
    """The new driver is in another shard; the old one's phone delivers its queue late."""

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            await it.add(payload(0, driver="a", order="o"))
            await it.stored(1)
            newer = payload(60, driver="b", order="o")
            await it.redis.set(order_key("o"), newer)
            await it.add(late(10))
            await it.stored(2)
            assert await it.redis.get(order_key("o")) == newer

    asyncio.run(main())


def late(second):
    """A fix recorded at `second` that arrived two minutes after."""
    sent = payload(second, driver="a", order="o")
    received = payload(second + 120)
    at = sent.rindex(b'"received_at"')
    return sent[:at] + received[received.rindex(b'"received_at"') :]


# No cluster client reads by a group within a transaction.
@pytest.mark.one_redis
def test_entries_nobody_remembers_are_found_again(servers):
    """Claimed, and the reply lost: they were pending for ever and held up the trimming."""

    async def main():
        settings = worker_settings(*servers, pending_message_timeout=100)
        async with shard(*servers) as it, working(settings):
            await it.add(payload(0))
            await it.stored(1)
            async with it.redis.pipeline(transaction=True) as pipe:
                pipe.xadd(KEYS.stream, {"e": payload(1)})
                pipe.xreadgroup(GROUP, "shard-0", {KEYS.stream: ">"})
                await pipe.execute()
            await it.stored(2)
            assert await it.rows() == identities([("d1", 0), ("d1", 1)])

    asyncio.run(main())


def test_commits_that_are_not_on_disk_are_refused(redis_server, databases, database_url):
    name = database_url.rsplit("/", 1)[1]

    async def main():
        settings = worker_settings(redis_server.url, database_url)
        async with asyncio.timeout(10):
            with pytest.raises(ConfigError, match="synchronous_commit"):
                await new_worker(settings).run()

    asyncio.run(databases.admin(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    asyncio.run(main())


def test_a_database_that_is_set_wrong_while_it_is_used_holds_up_the_history_alone(servers):
    """All workers ended with it, and live positions with them."""
    ended = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'fleetline-consumer' AND datname = current_database()
    """

    async def main():
        async with shard(*servers) as it, working(worker_settings(*servers)):
            name = await it.database.fetchval("SELECT current_database()")
            await it.add(payload(0))
            await it.stored(1)
            await it.database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
            await it.database.execute(ended)
            await it.add(payload(1))
            await until(lambda: it.live_is("d1", payload(1)), what="the position")
            await until(lambda: pending_is(it, 1), what="a page that waits")
            await it.database.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
            await it.stored(2)

    asyncio.run(main())


def test_a_server_that_greets_and_hangs_up_is_not_stormed():
    """Each connection lived a moment, so each failure passed for the first."""
    from common.redis.wire import Wire

    async def main():
        accepted = 0

        async def greet(reader, writer):
            nonlocal accepted
            accepted += 1
            with contextlib.suppress(OSError):
                await reader.read(1000)
                writer.write(b"+OK\r\n+PONG\r\n")
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(f"redis://127.0.0.1:{port}", reply_timeout_s=0.5)
        await wire.start()
        await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=1.0)
        await wire.close()
        server.close()
        assert 2 <= accepted <= 30

    asyncio.run(main())
