"""One shard under test: a worker in this process, real servers, and eyes on all it writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import redis

from common.backoff import Backoff
from common.event import LocationUpdate, encode_event
from common.keys import ENTRY_FIELD, shard_keys
from common.redis.client import new_async_client
from common.settings import Settings, load_settings
from common.stream.backlog import ADDED, SETTLED
from common.stream.pack import encode_pack
from consumers.assembly import WorkerPace
from consumers.worker import Worker
from tests.wait import until

KEYS = shard_keys("driver-locations", 0, 4)
GROUP = "location-processors"
# What is done once a second or seldom is done at once.
QUICK = WorkerPace(chores_s=0.05, reclaim_s=0.1, backoff=Backoff(0.01, 0.05), read_block_s=0.05)


NOW = datetime.now(UTC).replace(microsecond=0)


class Attempts:
    """Stands in for a `Backoff`: a short one that remembers how often something was tried."""

    def __init__(self) -> None:
        self._most = 0

    def delay_s(self, attempt: int) -> float:
        """Note the attempt; the same short delay each time."""
        self._most = max(self._most, attempt + 1)
        return 0.01

    @property
    def pace(self) -> WorkerPace:
        """The quick pace with this backoff."""
        return replace(QUICK, backoff=cast("Backoff", self))

    async def reached(self, times: int) -> None:
        """Wait until something was tried in vain so often in a row."""

        async def tried() -> bool:
            return self._most >= times

        await until(tried, timeout_s=30, what=f"{times} attempts")


def payload(
    second: int = 0, *, driver: str = "d1", order: str | None = None, **more: float
) -> bytes:
    """An event's bytes, recorded `second` seconds after NOW."""
    when = NOW + timedelta(seconds=second)
    fields = {"latitude": 53.4, "longitude": -2.9} | more
    return encode_event(driver, LocationUpdate(order_id=order, **fields), when, when)


def payload_now(driver: str = "d1", order: str | None = None) -> bytes:
    """An event's bytes, recorded and received now."""
    now = datetime.now(UTC)
    update = LocationUpdate(latitude=53.4, longitude=-2.9, order_id=order)
    return encode_event(driver, update, now, now)


def delivered_now(second: int, *, driver: str = "d1", order: str | None = None) -> bytes:
    """An event's bytes, recorded `second` seconds after NOW and received now: a queue's."""
    update = LocationUpdate(latitude=53.4, longitude=-2.9, order_id=order)
    return encode_event(driver, update, NOW + timedelta(seconds=second), datetime.now(UTC))


class Shard:
    """What tests do to a shard and ask about it."""

    def __init__(self, client: Any, database: Any, shards: int) -> None:
        self.keys = shard_keys("driver-locations", 0, shards)
        self.redis = client
        self.database = database

    async def add(self, *payloads: bytes) -> list[bytes]:
        """Put entries in the stream; returns their ids."""
        return [await self.redis.xadd(self.keys.stream, {ENTRY_FIELD: p}) for p in payloads]

    async def add_pack(self, *payloads: bytes) -> bytes:
        """Put one entry in the stream, and count its fixes as ingest does; returns its id."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(self.keys.stream, {ENTRY_FIELD: encode_pack(payloads)})
            pipe.hincrby(self.keys.counts, ADDED, len(payloads))
            entry_id, _ = await pipe.execute()
        return bytes(entry_id)

    async def waiting(self) -> int:
        """Fixes that were added and not settled, by the totals."""
        added, settled = await self.redis.hmget(self.keys.counts, ADDED, SETTLED)
        return int(added or 0) - int(settled or 0)

    async def rows(self) -> list[tuple[str, datetime]]:
        """Identities of all rows stored, in key order."""
        query = "SELECT driver_id, recorded_at FROM locations ORDER BY 1, 2"
        return [tuple(row) for row in await self.database.fetch(query)]

    async def count(self) -> int:
        """Rows stored."""
        return int(await self.database.fetchval("SELECT count(*) FROM locations"))

    async def delivered(self, consumer: str = "shard-0") -> None:
        """Hand all that is there to a consumer, which does nothing with it: a worker that died."""
        with contextlib.suppress(redis.ResponseError):
            await self.redis.xgroup_create(self.keys.stream, GROUP, "0", mkstream=True)
        await self.redis.xreadgroup(GROUP, consumer, {self.keys.stream: ">"})

    async def pending(self) -> int:
        """Entries delivered and not acknowledged."""
        with contextlib.suppress(redis.ResponseError):
            return int((await self.redis.xpending(self.keys.stream, GROUP))["pending"])
        return 0

    async def dead(self) -> list[dict[bytes, bytes]]:
        """The dead letters' fields."""
        return [fields for _, fields in await self.redis.xrange(self.keys.dead)]

    async def stored(self, count: int) -> None:
        """Wait until `count` rows are stored and nothing is pending or unread."""

        async def done() -> bool:
            return await self.count() >= count and await self.is_settled()

        await until(done, what=f"{count} rows stored and acknowledged")

    async def settled(self) -> None:
        """Wait until nothing is pending or unread."""
        await until(self.is_settled, what="every entry acknowledged")

    async def is_settled(self) -> bool:
        """Whether the history's group has acknowledged all that is in the stream."""
        groups = await self.redis.xinfo_groups(self.keys.stream)
        group = next((g for g in groups if g["name"] == GROUP.encode()), None)
        return group is not None and group["lag"] == 0 and not group["pending"]

    async def live_is(self, driver: str, sent: bytes) -> bool:
        """Whether that is the driver's live value."""
        return await self.live(driver) == sent

    async def live(self, driver: str) -> bytes | None:
        """The live value of a driver."""
        value: bytes | None = await self.redis.hget(self.keys.live, driver)
        return value


@contextlib.asynccontextmanager
async def shard(redis_url: str, database_url: str, *, shards: int = 4) -> AsyncIterator[Shard]:
    """Shard 0 of so many, without a worker."""
    client = new_async_client(redis_url, decode=False)
    database = await asyncpg.connect(database_url)
    try:
        yield Shard(client, database, shards)
    finally:
        await database.close()
        await client.aclose()


def worker_settings(redis_url: str, database_url: str, **more: object) -> Settings:
    """Settings that make a worker quick; what is dated NOW stays live as long as tests run."""
    quick: dict[str, object] = {
        "history_linger_ms": 5,
        "location_ttl": 86_400,
    }
    return load_settings(redis_url=redis_url, database_url=database_url, **(quick | more))


def new_worker(
    settings: Settings,
    pace: WorkerPace = QUICK,
    *,
    beat: Callable[[], None] = lambda: None,
) -> Worker:
    """A worker of shard 0; to be made in the loop that runs it."""
    return Worker(settings, 0, beat, pace)


@contextlib.asynccontextmanager
async def working(settings: Settings, pace: WorkerPace = QUICK) -> AsyncIterator[Worker]:
    """A worker of shard 0 for the block; it is stopped in order, and must end by itself."""
    worker = new_worker(settings, pace)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(15):
            await task


@contextlib.asynccontextmanager
async def crashing(settings: Settings, pace: WorkerPace = QUICK) -> AsyncIterator[Worker]:
    """A worker of shard 0 that dies at the end of the block, leaving everything as it is."""
    worker = new_worker(settings, pace)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def identities(payloads: Iterable[tuple[str, int]]) -> list[tuple[str, datetime]]:
    """What `rows` gives for fixes of (driver, second)."""
    return sorted((driver, NOW + timedelta(seconds=second)) for driver, second in payloads)
