"""The schema on a real PostgreSQL; `test_timescale` has what TimescaleDB makes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest

from common.errors import ConfigError, FleetlineError
from deploy.schema.migrate import Migration, migrate, outstanding, read_migrations
from tests.servers.postgres import PostgresServer, postgres

ONE = Migration(1, "one", "CREATE TABLE one (a int)")
TWO = Migration(2, "two", "CREATE TABLE two (a int)")
BROKEN = Migration(2, "two", "CREATE TABLE two (a int); SELECT 1/0")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """A database with the schema."""
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def empty(server: PostgresServer) -> Iterator[str]:
    """A database with nothing in it."""
    asyncio.run(server.admin("CREATE DATABASE nothing"))
    yield server.url("nothing")
    server.drop_database("nothing")


def ask(url: str, call: Callable[[Any], Awaitable[Any]]) -> Any:
    async def inner() -> Any:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await call(connection)
        finally:
            await connection.close()

    return asyncio.run(inner())


def test_files_are_numbered_without_gaps() -> None:
    assert [m.version for m in read_migrations()] == list(range(1, len(read_migrations()) + 1))


def test_each_is_applied_once(empty: str) -> None:
    assert asyncio.run(migrate(empty, [ONE])) == ["0001_one"]
    assert asyncio.run(migrate(empty, [ONE, TWO])) == ["0002_two"]
    assert asyncio.run(migrate(empty, [ONE, TWO])) == []


def test_one_that_fails_leaves_nothing(empty: str) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        asyncio.run(migrate(empty, [ONE, BROKEN]))
    assert asyncio.run(migrate(empty, [ONE, TWO])) == ["0002_two"]


def test_a_newer_or_other_database_is_refused(empty: str) -> None:
    asyncio.run(migrate(empty, [ONE, TWO]))
    with pytest.raises(ConfigError, match="newer than this Fleetline"):
        asyncio.run(migrate(empty, [ONE]))
    with pytest.raises(ConfigError, match="0002_two where this Fleetline has 0002_other"):
        outstanding([ONE, Migration(2, "other", "")], {1: "one", 2: "two"})


def test_many_at_once_apply_once(empty: str) -> None:
    async def all_at_once() -> list[list[str]]:
        return await asyncio.gather(*(migrate(empty) for _ in range(6)))

    applied = asyncio.run(all_at_once())
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 0, len(read_migrations())]


def test_commits_that_are_not_on_disk_are_refused(server: PostgresServer, empty: str) -> None:
    asyncio.run(server.admin("ALTER DATABASE nothing SET synchronous_commit = off"))
    with pytest.raises(ConfigError, match="synchronous_commit"):
        asyncio.run(migrate(empty))


@pytest.mark.parametrize("path", ["127.0.0.1:1/x", "nowhere.invalid/x"])
def test_a_database_that_does_not_answer_is_one_line_without_the_password(path: str) -> None:
    with pytest.raises(FleetlineError) as caught:
        asyncio.run(migrate(f"postgresql://u:secret@{path}"))
    assert "DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_partitions_are_made_by_many_at_once(database: str) -> None:
    days = [date(2026, 1, day) for day in range(1, 11)]

    async def race() -> None:
        async def one() -> None:
            connection = await asyncpg.connect(database, timeout=5)
            await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", days)
            await connection.close()

        await asyncio.gather(*(one() for _ in range(8)))

    asyncio.run(race())
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'locations'::regclass"
    assert ask(database, lambda c: c.fetchval(count)) == 10


def test_days_are_utc_whatever_the_session_says(database: str) -> None:
    async def look(connection: Any) -> list[str]:
        await connection.execute("SET timezone = 'Pacific/Auckland'")
        await connection.execute(
            "SELECT fleetline_ensure_partitions($1::date[])", [date(2026, 1, 2)]
        )
        for hour, second in ((0, 0), (23, 59)):
            await connection.execute(
                "INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude)"
                " VALUES ('a', $1, now(), 1, 2)",
                datetime(2026, 1, 2, hour, second, second, tzinfo=UTC),
            )
        rows = await connection.fetch(
            "SELECT DISTINCT tableoid::regclass::text AS t FROM locations"
        )
        return [row["t"] for row in rows]

    assert ask(database, look) == ["locations_20260102"]


def test_a_new_day_is_made_while_another_is_written(database: str) -> None:
    async def both(connection: Any) -> None:
        await connection.execute(
            "SELECT fleetline_ensure_partitions($1::date[])", [date(2026, 1, 2)]
        )
        other = await asyncpg.connect(database, timeout=5)
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude)"
                " VALUES ('a', '2026-01-02T10:00:00Z', now(), 1, 2)"
            )
            await other.execute(
                "SELECT fleetline_ensure_partitions($1::date[])", [date(2026, 1, 3)], timeout=2
            )
        await other.close()

    ask(database, both)


def test_a_fix_is_stored_once(database: str) -> None:
    async def twice(connection: Any) -> None:
        await connection.execute(
            "SELECT fleetline_ensure_partitions($1::date[])", [date(2026, 1, 2)]
        )
        insert = (
            "INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude)"
            " VALUES ('a', '2026-01-02T10:00:00Z', now(), 1, 2)"
        )
        await connection.execute(insert)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(insert)

    ask(database, twice)
