"""What goes wrong in a fleet's day, done to a running stack: the causes of alerts."""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import redis
import redis.asyncio

from common.event import LocationUpdate, encode_event
from common.keys import ENTRY_FIELD
from common.processes.process import PARENT_PID_ENV
from common.shards import Shards
from common.stream.backlog import ADDED
from tests.clients import ws
from tests.servers.receiver import Receiver
from tests.stack import Stack, environment
from tests.wait import pace

ORDER = "watched-by-prometheus"
DRIVERS = "/api/v1/drivers"
HOOK = "/api/v1/webhooks/watched"
DROPOFF = {"latitude": 53.42, "longitude": -2.965}
PLAN = {"vehicles": [{"id": "van", "start": DROPOFF}], "jobs": [{"id": "job", "at": DROPOFF}]}
# A plan takes a solver; one in so many rounds.
PLAN_ROUNDS = 10
# A stall of Redis, and the time between two: what waits is let through, and late.
STALL_MS, STALL_EVERY_S = 700, 0.8
# A lock that a statement waits for, below DATABASE_TIMEOUT_S.
LOCKED_S = 2.5


class Traffic:
    """Drivers that send, one fix in ten wrong, a customer who waits for one of them, a webhook that
    is tested, and a plan now and then.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as the block."""
        async with Receiver() as receiver, asyncio.TaskGroup() as group:
            for path, made in (
                (HOOK, {"url": receiver.url, "events": ["driver.offline"]}),
                (f"/api/v1/orders/{ORDER}", {"driver_id": "prom-0", "dropoff": DROPOFF}),
            ):
                status, _ = await asyncio.to_thread(self._stack.request, "PUT", path, made)
                assert status == 201, path
            tasks = [group.create_task(self._send()), group.create_task(self._watch())]
            yield
            for task in tasks:
                task.cancel()

    async def _send(self) -> None:
        while True:
            number = next(self._numbers)
            fix = {"latitude": 53.4, "longitude": -2.9 + number % 1000 / 1e5}
            for path, sent in (
                (f"{DRIVERS}/prom-0/location", {**fix, "order_id": ORDER}),
                (f"{DRIVERS}/locations", crowd("prom", 8, fix)),
                (f"{DRIVERS}/prom-1/location", {**fix, "latitude": 100}),
                ("/owntracks", {"_type": "waypoint", "desc": "home"}),
                (f"{HOOK}/test", None),
                *([("/api/v1/plans", PLAN)] if number % PLAN_ROUNDS == 0 else []),
            ):
                # What it is answered is for the metrics to say.
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._stack.request, "POST", path, sent)
            await pace(0.02)

    async def _watch(self) -> None:
        path = ws.ORDER_PATH.format(ORDER)
        while True:
            with contextlib.suppress(ws.Closed, ws.Refused, OSError):
                client = await ws.connect(self._stack.fanout_port, path)
                try:
                    while True:
                        await client.text()
                finally:
                    client.abort()
            await pace(0.2)


def crowd(name: str, count: int, fix: dict[str, float]) -> dict[str, object]:
    """A body with the same fix of many drivers."""
    return {"locations": [{"driver_id": f"{name}-{n}", **fix} for n in range(count)]}


@contextlib.asynccontextmanager
async def repeated(work: AsyncGenerator[None, None]) -> AsyncIterator[None]:
    """What is done again and again for the block."""

    async def go_on() -> None:
        async with contextlib.aclosing(work):
            async for _ in work:
                pass

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _client(redis_url: str) -> Any:
    return redis.asyncio.Redis.from_url(redis_url)


async def stalls(redis_url: str) -> AsyncGenerator[None, None]:
    """Redis answers nobody for a while, again and again, as on a disk that is too slow."""
    async with _client(redis_url) as client:
        try:
            while True:
                await client.client_pause(STALL_MS, all=True)
                await pace(STALL_EVERY_S)
                yield
        finally:
            await client.client_unpause()


async def nearly_full(redis_url: str) -> AsyncGenerator[None, None]:
    """The limit of Redis stays a little above what it uses."""
    async with _client(redis_url) as client:
        limit = (await client.config_get("maxmemory"))["maxmemory"]
        try:
            while True:
                used = (await client.info("memory"))["used_memory"]
                await client.config_set("maxmemory", round(used / 0.88))
                await pace(0.3)
                yield
        finally:
            await client.config_set("maxmemory", limit)


@contextlib.contextmanager
def full(redis_url: str) -> Iterator[None]:
    """Redis takes nothing more for the block."""
    with redis.Redis.from_url(redis_url) as client:
        limit = client.config_get("maxmemory")["maxmemory"]
        try:
            client.config_set("maxmemory", 1)
            yield
        finally:
            client.config_set("maxmemory", limit)


@contextlib.asynccontextmanager
async def locked(database_url: str, *tables: str) -> AsyncIterator[None]:
    """Somebody's transaction holds these tables for the block."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        connection.terminate()


async def slow_history(database_url: str) -> AsyncGenerator[None, None]:
    """Whoever stores rows waits for somebody's lock, again and again."""
    while True:
        async with locked(database_url, "locations"):
            await pace(LOCKED_S)
        await pace(0.3)
        yield


async def clock_behind(stack: Stack, shards: Shards) -> AsyncGenerator[None, None]:
    """Another host's ingest, whose clock is two seconds behind; its fixes are watched."""
    driver, order = "behind", "behind-order"
    keys = shards.of(driver).keys
    async with (
        _client(stack.redis_url) as client,
        ws.watching(stack.fanout_port, order),
    ):
        for number in itertools.count():
            then = datetime.now(UTC) - timedelta(seconds=2)
            update = LocationUpdate(latitude=53.4, longitude=number % 100 / 1e5, order_id=order)
            event = encode_event(driver, update, then, then)
            await client.xadd(keys.stream, {ENTRY_FIELD: event})
            await client.hincrby(keys.counts, ADDED, 1)
            await pace(0.05)
            yield


@contextlib.asynccontextmanager
async def watched(port: int, orders: Iterable[str]) -> AsyncIterator[None]:
    """A customer at each of these orders for the block."""
    async with contextlib.AsyncExitStack() as sockets:
        for order in orders:
            await sockets.enter_async_context(ws.watching(port, order))
        yield


@contextlib.contextmanager
def other_host(stack: Stack, metrics_port: int, shards: int, only: int) -> Iterator[int]:
    """Consumers of one shard on another machine, which gets it, for the block; their pid."""
    process = subprocess.Popen(
        (sys.executable, "-m", "deploy.cli", "consumers", "--only", str(only)),
        env=environment(
            {
                "REDIS_URL": stack.redis_url,
                "DATABASE_URL": stack.database_url,
                "SHARDS": str(shards),
                "METRICS_PORT": str(metrics_port),
                "HEARTBEAT_TIMEOUT_S": "25",
                "LOG_LEVEL": "error",
                # It goes when these tests are killed.
                PARENT_PID_ENV: str(os.getpid()),
            }
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def kill(pid: int | None) -> None:
    """SIGKILL, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
