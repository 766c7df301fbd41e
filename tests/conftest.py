"""Fixtures that all tests share."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, postgres
from tests.servers import RedisServer, valkey

# Long files first, so that no process works on one alone while the others are done.
ORDER: Sequence[str] = ("faults", "system", "integration", "odd", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; inside one the order stays."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0]
        return ORDER.index(folder) if folder in ORDER else len(ORDER)

    items.sort(key=place)


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
