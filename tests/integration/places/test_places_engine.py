"""The places engine over real servers: what its tables say is what an oracle says, whatever ends
it in between.
"""

import asyncio
import contextlib
import random
from datetime import timedelta

import asyncpg
import pytest

from common.keys import ENTRY_FIELD
from common.orders.book import OrderBook
from common.orders.order import OrderPlace, OrderUpdate
from common.orders.store import put, read
from common.redis.client import new_async_client
from common.redis.opening import new_nodes
from common.shards import Shards
from common.stream.pack import encode_pack
from consumers.places.fence_book import FenceBook
from consumers.places.order_follower import OrderFollower
from consumers.places.reader import StreamReader
from consumers.places.rules import engine as engines
from consumers.places.rules.left_out import Rule
from consumers.places.store import PlacesStore
from consumers.places.turns import PlacesTurns
from tests.roles.places import START, Fix, by_driver, circles, oracle, put_fences, told_in, walks

SHARDS = Shards("driver-locations", 2)
TTL = timedelta(days=1)
# A turn has fewer statements than that: a process dies of each of them.
DEATHS = 22


class Severed(Exception):
    """Stands in for the death of the process."""


class Faulty:
    """A connection on which only so many statements are carried out."""

    def __init__(self, connection, statements):
        self._connection = connection
        self._left = statements

    def __getattr__(self, name):
        found = getattr(self._connection, name)
        return self._counted(found) if name in {"execute", "fetch", "fetchval"} else found

    def _counted(self, call):
        async def counted(*args, **more):
            if self._left == 0:
                raise Severed
            self._left -= 1
            return await call(*args, **more)

        return counted


@contextlib.asynccontextmanager
async def turning(redis_url, database_url, statements=None):
    """Turns of a new process. With `statements` it dies of the one after so many."""
    connection = await asyncpg.connect(database_url)
    nodes = new_nodes(redis_url, reply_timeout_s=5, name="test")
    await nodes.start()
    try:
        orders = OrderFollower(connection)
        await orders.start()
        used = connection if statements is None else Faulty(connection, statements)
        store = PlacesStore(used, SHARDS)
        engine, places = await PlacesStore(connection, SHARDS).load({0, 1}, TTL, 60.0)
        store.__dict__.update(
            _snapshot_bytes=dict.fromkeys((0, 1), 0), _changes_bytes=dict.fromkeys((0, 1), 0)
        )

        yield PlacesTurns(
            engine=engine,
            store=store,
            reader=StreamReader(nodes, SHARDS, places),
            fences=FenceBook(),
            orders=orders,
            moved=OrderBook(nodes, position_ttl_s=60).write,
        )
    finally:
        connection.terminate()
        await nodes.close()


async def add(client, fixes, rng):
    """Fixes into their streams, in packs as ingest makes them."""
    packs = {}
    for fix in fixes:
        shard = SHARDS.of(fix.driver)
        pack = packs.setdefault(shard.keys.stream, [])
        pack.append(fix.payload)
        if len(pack) >= rng.choice((1, 5, 20)):
            await client.xadd(shard.keys.stream, {ENTRY_FIELD: encode_pack(pack)})
            pack.clear()
    for stream, pack in packs.items():
        if pack:
            await client.xadd(stream, {ENTRY_FIELD: encode_pack(pack)})


async def finish(servers):
    """Work off what is left."""
    async with turning(*servers) as turns:
        while await turns.turn() or turns.fixes == 0:
            turns.fixes = turns.fixes or 1


@pytest.mark.parametrize("seed", range(2))
def test_the_table_says_what_the_oracle_says(redis_server, database_url, seed):
    """Late, repeated and future fixes; a process that dies at every statement of a turn."""
    rng = random.Random(seed)
    servers = redis_server.url, database_url
    fences, fixes = circles(30, seed), walks(12, 100, seed)

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        await put_fences(connection, fences)
        left = list(fixes)
        for statements in range(DEATHS):
            some, left = left[: len(fixes) // DEATHS], left[len(fixes) // DEATHS :]
            await add(client, some, rng)
            with contextlib.suppress(Severed):
                async with turning(*servers, statements=statements) as turns:
                    await turns.turn()
                    await turns.turn()
        await add(client, left, rng)
        await finish(servers)
        told = await told_in(connection)
        await connection.close()
        await client.aclose()
        return told

    told = asyncio.run(main())
    expected = oracle(fixes, fences)
    assert len(told) == len(set(told)) == len(expected)
    assert by_driver(told) == by_driver(expected)
    assert {event[0] for event in expected} == {
        "driver.online", "geofence.enter", "geofence.exit", "geofence.dwell",
    }  # fmt: skip


def test_an_order_comes_into_its_states_once_by_its_drivers_fixes(redis_server, database_url):
    """From the pick-up to the door, by a process that dies at every statement; others' fixes that
    name the order move nothing.
    """
    servers = redis_server.url, database_url
    ends = {"pickup": OrderPlace(53.40, -2.9), "dropoff": OrderPlace(53.42, -2.9)}
    way = [53.41, 53.40, 53.40, 53.40, 53.41, 53.41, 53.42, 53.42, 53.42, 53.43, 53.43]
    fixes = [
        Fix(driver, at, at, latitude, -2.9, 5.0)
        for n, latitude in enumerate(way)
        for driver in ("courier", "other")
        for at in (START + timedelta(seconds=3 * n),)
    ]

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        update = OrderUpdate(driver_id="courier", **ends)
        await put(connection, "o", update, START - timedelta(minutes=1))
        await add(client, fixes, random.Random(1))
        for statements in range(DEATHS):
            with contextlib.suppress(Severed):
                async with turning(*servers, statements=statements) as turns:
                    await turns.turn()
        await finish(servers)
        told = await connection.fetch(
            "SELECT type, driver_id, recorded_at, data->>'cause' FROM events"
            " WHERE order_id = 'o' ORDER BY seq"
        )
        order = await read(connection, "o")
        await connection.close()
        await client.aclose()
        return [tuple(row) for row in told], order

    told, order = asyncio.run(main())
    # Both stays are shorter than a visit must be: the courier was there, no more is known.
    assert told == [
        ("order.assigned", "courier", None, "api"),
        ("order.at_pickup", "courier", START + timedelta(seconds=3), "fence"),
        ("order.arriving", "courier", START + timedelta(seconds=18), "fence"),
    ]
    assert (order.state, order.times.arriving) == ("arriving", told[-1][2])


def test_an_event_that_the_database_refuses_stops_no_other(redis_server, database_url):
    """One refused event ended the turn, and the next one, and so on: nothing was stored again."""
    servers = redis_server.url, database_url
    fences, fixes = circles(30, 4), walks(12, 60, 4)

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        await put_fences(connection, fences)
        await connection.execute(
            "ALTER TABLE events ADD CHECK (driver_id <> 'driver-3' OR type <> 'geofence.enter')"
        )
        await add(client, fixes, random.Random(4))
        async with turning(*servers) as turns:
            while await turns.turn():
                pass
            counts = turns.left_out.counts
        told = await told_in(connection)
        await connection.close()
        await client.aclose()
        return told, counts

    told, counts = asyncio.run(main())
    expected = oracle(fixes, fences)
    refused = [e for e in expected if e[:2] == ("geofence.enter", "driver-3")]
    assert refused
    assert by_driver(told) == by_driver(e for e in expected if e not in refused)
    assert counts == {
        **dict.fromkeys(Rule, 0),
        Rule.EVENTS: len(refused),
    }


def test_a_fix_that_a_rule_cannot_take_is_left_out_and_named(
    redis_server, database_url, monkeypatch
):
    servers = redis_server.url, database_url
    fences, fixes = circles(30, 5), walks(12, 60, 5)
    real = engines.follow

    def follow(visits, fix, *rest):
        if fix.driver_id == "driver-2":
            raise ZeroDivisionError("of this rule")
        return real(visits, fix, *rest)

    monkeypatch.setattr(engines, "follow", follow)

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        await put_fences(connection, fences)
        await add(client, fixes, random.Random(5))
        async with turning(*servers) as turns:
            while await turns.turn():
                pass
            counts = turns.left_out.counts
        told = await told_in(connection)
        await connection.close()
        await client.aclose()
        return told, counts

    told, counts = asyncio.run(main())
    expected = [e for e in oracle(fixes, fences) if e[2] is None or e[1] != "driver-2"]
    assert by_driver(told) == by_driver(expected)
    assert counts[Rule.GEOFENCES] > 0


def test_turns_in_which_nothing_happened_are_stored_with_the_next(
    redis_server, database_url, monkeypatch
):
    monkeypatch.setattr("consumers.places.turns.STORE_EVERY_S", 1000.0)
    seconds = iter(range(100))

    def fix(driver):
        at = START + timedelta(seconds=next(seconds))
        return Fix(driver, at, at, 53.4, -2.9, 5.0)

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        stored = []
        async with turning(redis_server.url, database_url) as turns:
            # They come online; they go on; another one comes.
            for drivers in ((1, 2, 3, 4), (1, 2, 3, 4), (3, 4), (5,)):
                await add(client, [fix(f"driver-{n}") for n in drivers], random.Random(1))
                await turns.turn()
                stored.append(await connection.fetchval("SELECT count(*) FROM places_changes"))
            _, places = await PlacesStore(connection, SHARDS).load({0, 1}, TTL, 60.0)
            read = turns._reader.places
        await connection.close()
        await client.aclose()
        return stored, places, read

    stored, places, read = asyncio.run(main())
    assert stored[0] == stored[1] == stored[2] < stored[3]
    assert places == read
