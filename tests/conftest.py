"""Fixtures that all tests share."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresServer, postgres
from tests.servers import RedisServer, valkey


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """One Valkey for the whole run."""
    with valkey() as server:
        yield server


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """An empty Valkey. A test that stops or kills it starts it again."""
    redis_session.command("FLUSHALL")
    return redis_session


@pytest.fixture(scope="session")
def postgres_session() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run."""
    with postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres_session: PostgresServer) -> Iterator[str]:
    """A fresh database with the schema in it."""
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)
