"""Fixtures that the tests of ingest share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import redis

from tests.roles.arrivals import Arrivals, arrivals
from tests.roles.orders import Orders, orders
from tests.servers import RedisServer
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.postgres import PostgresServer
from tests.wait import wait_until


@pytest.fixture(scope="session")
def ingest_session(redis_session: RedisServer) -> Iterator[IngestServer]:
    """One ingest on the run's Valkey, without a database."""
    # Another file's tests may have left it with another number of shards.
    redis_session.command("FLUSHALL")
    with ingest(REDIS_URL=redis_session.url, BODY_TIMEOUT_S="1") as server:
        yield server


@pytest.fixture(scope="session")
def session_api(ingest_session: IngestServer) -> Iterator[httpx.Client]:
    """A client of that ingest."""
    with httpx.Client(base_url=ingest_session.url, timeout=10) as client:
        yield client


@pytest.fixture
def api(session_api: httpx.Client, redis_server: RedisServer) -> httpx.Client:
    """The same client, on an empty Valkey, once fixes are accepted."""
    wait_until(lambda: session_api.get("/health").status_code == 200, what="ingest to accept")
    return session_api


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Any]:
    """A client of the empty Valkey."""
    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def within(redis_server: Any, database_url: str) -> Callable[..., None]:
    """Runs a test's coroutine over workers of two shards."""

    def run(main: Callable[[Orders], Awaitable[None]], **settings: object) -> None:
        async def begin() -> None:
            async with orders(redis_server.url, database_url, **settings) as made:
                await main(made)

        asyncio.run(begin())

    return run


@pytest.fixture
def arrivals_role(redis_server: RedisServer, database_url: str) -> Callable[..., None]:
    """Runs a test's coroutine over a role arrivals that looks when it is told to."""

    def run(main: Callable[[Arrivals], Awaitable[None]], **settings: object) -> None:
        async def begin() -> None:
            async with arrivals(redis_server.url, database_url, **settings) as made:
                await main(made)

        asyncio.run(begin())

    return run


@pytest.fixture(scope="module")
def orders_database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def orders_api(orders_database: str, redis_session: RedisServer) -> Iterator[httpx.Client]:
    redis_session.command("FLUSHALL")
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=orders_database) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=15) as client,
    ):
        wait_until(lambda: client.get(f"{server.url}/health").status_code == 200)
        yield client
