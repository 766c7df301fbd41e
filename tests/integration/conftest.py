"""Fixtures that the tests of ingest share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from common.redis.client import new_client
from tests.roles.arrivals import Arrivals, arrivals
from tests.roles.orders import Orders, orders
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until


@pytest.fixture(scope="module")
def ingest_session(redis_session: AnyRedis) -> Iterator[IngestServer]:
    """One ingest for the tests of a file, without a database."""
    # Those of another may have left the Redis with another number of shards, and an ingest that
    # has heard of it remembers.
    redis_session.clear()
    with ingest(REDIS_URL=redis_session.url, BODY_TIMEOUT_S="1") as running:
        yield running


@pytest.fixture(scope="module")
def session_api(ingest_session: IngestServer) -> Iterator[httpx.Client]:
    """A client of that ingest."""
    with httpx.Client(base_url=ingest_session.url, timeout=10) as client:
        yield client


@pytest.fixture
def api(session_api: httpx.Client, redis_server: AnyRedis) -> httpx.Client:
    """The same client, on an empty Redis, once fixes are accepted."""
    wait_until(lambda: session_api.get("/health").status_code == 200, what="ingest to accept")
    return session_api


@pytest.fixture
def store(redis_server: AnyRedis) -> Iterator[Any]:
    """A client of the empty Redis."""
    with new_client(redis_server.url, decode=False) as client:
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
def arrivals_role(redis_server: AnyRedis, database_url: str) -> Callable[..., None]:
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
def orders_api(orders_database: str, redis_session: AnyRedis) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=orders_database) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=15) as client,
    ):
        wait_until(lambda: client.get(f"{server.url}/health").status_code == 200)
        yield client
