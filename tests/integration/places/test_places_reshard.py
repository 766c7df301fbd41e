"""The places engine while the number of shards changes: what it tells is what an oracle tells."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from common.keys import ENTRY_FIELD, META
from common.settings import Settings
from common.shards import Shards
from consumers.places.inheritance import earlier_streams, epoch_in
from consumers.places.serve import PlacesRole
from consumers.stream.barrier import CLOSED_ID
from consumers.stream.entry import id_order
from tests.roles.places import Fix, Told, by_driver, circles, oracle, put_fences, told_in, walks
from tests.roles.shard import GROUP, worker_settings
from tests.wait import until

STREAM = "driver-locations"
BEFORE = Shards(STREAM, 2)
AFTER = Shards(STREAM, 3, 2)
CLOSE = files("consumers.sharing").joinpath("close.lua").read_text()
THROUGH = """
SELECT through FROM (
    SELECT id, through FROM places_changes WHERE stream = $1
    UNION ALL SELECT 0, through FROM places_streams WHERE stream = $1
) AS stored ORDER BY id DESC LIMIT 1
"""


class Change:
    """A change of the number of shards, step by step, and an engine that lives through it."""

    def __init__(self, settings: Settings, client: Any, database: asyncpg.Connection) -> None:
        self._settings = settings
        self.redis = client
        self.database = database

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[None]:
        """A process of the role for the block; it dies at its end."""
        role = PlacesRole(self._settings)
        await role.nodes.start()
        connection = await asyncpg.connect(self._settings.database_url)
        following = asyncio.create_task(role.follow(connection, lambda: None))
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            connection.terminate()
            await role.nodes.close()

    async def add(self, shards: Shards, fixes: Sequence[Fix]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            for fix in fixes:
                pipe.xadd(shards.of(fix.driver).keys.stream, {ENTRY_FIELD: fix.payload})
            await pipe.execute()

    async def switch(self) -> None:
        layouts = {"shards": 3, "epoch": 2, "old_shards": 2, "old_epoch": 1, "old_since": 1}
        await self.redis.hset(META, mapping=layouts)

    async def close(self) -> None:
        for shard in BEFORE:
            keys = shard.keys.stream, shard.keys.closed
            await self.redis.eval(CLOSE, 2, *keys, GROUP, CLOSED_ID)

    async def end(self) -> None:
        """As the command does: what is left of the old shards is closed and empty."""
        await self.redis.hdel(META, "old_shards", "old_epoch", "old_since")
        for shard in BEFORE:
            await self.redis.xtrim(shard.keys.stream, maxlen=0)

    async def is_through(self, shards: Shards) -> bool:
        """Whether all that is in these streams is stored."""
        for shard in shards:
            newest = await self.redis.xrevrange(shard.keys.stream, count=1)
            stored = await self.database.fetchval(THROUGH, shard.keys.stream)
            if newest and (stored is None or id_order(stored.encode()) < id_order(newest[0][0])):
                return False
        return True

    async def told(self) -> list[Told]:
        return await told_in(self.database)

    async def streams(self) -> set[str]:
        rows = await self.database.fetch("SELECT stream FROM places_streams")
        return {row[0] for row in rows}


@contextlib.asynccontextmanager
async def changing(redis_url: str, database_url: str, seed: int) -> AsyncIterator[Change]:
    settings = worker_settings(redis_url, database_url, shards=2)
    async with redis.asyncio.from_url(redis_url) as client:
        database = await asyncpg.connect(database_url)
        try:
            await put_fences(database, circles(30, seed))
            await client.hset(META, "shards", 2)
            yield Change(settings, client, database)
        finally:
            await database.close()


@pytest.mark.parametrize("seed", [3, 4])
def test_each_crossing_is_told_once(redis_server, database_url, seed) -> None:
    fixes = walks(12, 100, seed)
    first, second = len(fixes) // 3, len(fixes) * 2 // 3

    async def main() -> list[Told]:
        async with changing(redis_server.url, database_url, seed) as change:
            await change.add(BEFORE, fixes[:first])
            async with change.engine():
                await until(lambda: change.is_through(BEFORE), what="the old ones are read")
                await change.redis.hset(META, mapping={"next_shards": 3, "next_epoch": 2})
                await change.redis.hdel(META, "next_shards", "next_epoch")
                await change.switch()
                # An ingest has not looked yet; after that all write to the new ones.
                await change.add(BEFORE, fixes[first:second])
                await change.add(AFTER, fixes[second:-20])
                await until(lambda: change.is_through(BEFORE), what="the old ones are read")
                if seed % 2:
                    await change.close()
                    await until(lambda: change.is_through(AFTER), what="the new ones are read")
            # Another process goes on, wherever that was.
            await change.close()
            await change.add(AFTER, fixes[-20:])
            async with change.engine():
                await until(lambda: change.is_through(AFTER), what="the new ones are read")
                await change.end()
                wanted = {shard.keys.stream for shard in AFTER}

                async def is_tidy() -> bool:
                    return await change.streams() == wanted

                await until(is_tidy, what="nothing is kept of the old ones")
            return await change.told()

    told = asyncio.run(main())
    expected = oracle(fixes, circles(30, seed))
    assert len(told) == len(set(told)) == len(expected)
    assert by_driver(told) == by_driver(expected)


def test_an_engine_that_was_away_during_all_of_it_knows_who_is_online(
    redis_server, database_url
) -> None:
    """What broke: everybody came online a second time, and who had gone never went offline."""
    fixes = walks(6, 60, 5)
    half = len(fixes) // 2

    async def main() -> list[Told]:
        async with changing(redis_server.url, database_url, 5) as change:
            await change.add(BEFORE, fixes[:half])
            async with change.engine():
                await until(lambda: change.is_through(BEFORE), what="the old ones are read")
            await change.switch()
            await change.close()
            await change.end()
            await change.add(AFTER, fixes[half:])
            async with change.engine():
                await until(lambda: change.is_through(AFTER), what="the new ones are read")
            return await change.told()

    told = asyncio.run(main())
    assert by_driver(told) == by_driver(oracle(fixes, circles(30, 5)))


def test_only_streams_of_earlier_layouts_are_inherited_from() -> None:
    third = Shards(STREAM, 1, 3)
    names = [
        third[0].keys.stream, AFTER[1].keys.stream, BEFORE[0].keys.stream, f"{STREAM}:{{0}}",
        "other:{1.0-a}", Shards(STREAM, 1, 10)[0].keys.stream, f"{STREAM}:{{x}}", STREAM,
    ]  # fmt: skip
    assert earlier_streams(names, third) == [
        f"{STREAM}:{{0}}", BEFORE[0].keys.stream, AFTER[1].keys.stream,
    ]  # fmt: skip
    assert epoch_in(f"{STREAM}:{{12.3-ab}}", STREAM) == 12
