"""Several databases: each knows which one it is, and questions find their answers."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from common.databases.connecting import NO_CITUS, ConnectionTerms, connect
from common.databases.seat import ONLY, seats
from common.errors import ConfigError, FleetlineError
from common.settings import Settings, load_settings
from consumers.history.table import HistoryTable
from consumers.insight.home_events import HomeEvents
from deploy.preflight import preflight
from deploy.schema.migrate import migrate
from deploy.schema.seating import settle_chunk
from tests.integration.database.test_several_answers import CELLS, DAY, NOW, RULES, ask, drive
from tests.integration.insight.insight_history import follow_to, row, store
from tests.roles.several import seat_databases, two_databases
from tests.servers import RedisServer
from tests.servers.ingest_server import NO_DATABASE
from tests.servers.postgres import Databases, PostgresServer


def fill(url: str, driver: str = "d") -> None:
    async def one_fix() -> None:
        connection = await asyncpg.connect(url)
        await store(connection, [row(driver, DAY, 53.4, -2.9)], marked=False)
        await connection.close()

    asyncio.run(one_fix())


def test_databases_with_rows_keep_their_places(pair: tuple[str, str], databases: Databases) -> None:
    for url in pair:
        fill(url)
    seat_databases(pair)
    with pytest.raises(ConfigError, match="database 1 of 2 was stored as database 2 of 2"):
        seat_databases(pair[::-1])
    with pytest.raises(ConfigError, match="database 1 of 1 was stored as database 1 of 2"):
        seat_databases(pair[:1])
    with two_databases(databases, databases) as others:
        with pytest.raises(ConfigError, match="database 2 of 2 belongs to another system"):
            seat_databases((others[0], pair[1]))
        # What is empty may be told anew, but not be two.
        seat_databases((pair[0], others[1]))
        with pytest.raises(ConfigError, match="database 1 of 2 is database 2 of 2 under another"):
            seat_databases((others[0], f"{others[0]}?application_name=x"))


def test_one_that_has_rows_is_the_only_one(database_url: str, databases: Databases) -> None:
    """Another beside it would get half of its drivers, whose past stays where it is."""
    fill(database_url)
    seat_databases((database_url,))
    name = databases.create_database()
    with pytest.raises(ConfigError, match="database 1 of 2 was stored as database 1 of 1"):
        seat_databases((database_url, databases.url(name)))
    databases.drop_database(name)


def test_a_worker_stores_in_no_other_database(pair: tuple[str, str]) -> None:
    async def main() -> None:
        for url, seat in [(pair[0], ONLY), (pair[1], seats(2)[0]), (pair[0], seats(3)[0])]:
            table = HistoryTable(url, timeout_s=5, seat=seat)
            with pytest.raises(ConfigError, match="DATABASE_URLS: database"):
                await table.ensure()
            await table.close()

    asyncio.run(main())


def test_citus_is_refused_with_the_reason(postgres_session: PostgresServer) -> None:
    """A fix that came twice stopped its shard's history there for ever."""
    name = postgres_session.create_empty()
    url = postgres_session.url(name)
    # A name in the catalogue is all that is looked at.
    ask(
        url,
        "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable,"
        " extversion) SELECT 99999, 'citus', 10, oid, false, '13.0' FROM pg_namespace"
        " WHERE nspname = 'pg_catalog'",
    )
    with pytest.raises(ConfigError) as refused:
        asyncio.run(migrate(url))
    assert str(refused.value) == NO_CITUS
    postgres_session.drop_database(name)


def test_chunks_of_days_to_come_have_the_new_length(database_url: str) -> None:
    ensure = "SELECT fleetline_ensure_partitions($1::date[])"
    ranges = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'locations'::regclass"
    if ask(database_url, "SELECT relkind = 'r' FROM pg_class WHERE relname = 'locations'"):
        ranges = "SELECT count(*) FROM timescaledb_information.chunks"
    fill(database_url)
    assert ask(database_url, ranges) == 1
    asyncio.run(settle_chunk(database_url, 6))

    async def later() -> list[Any]:
        connection = await asyncpg.connect(database_url)
        times = [DAY + timedelta(days=1, hours=hours) for hours in (0, 5.9, 6, 23.9)]
        # The day that is there keeps its one partition.
        times.append(DAY + timedelta(hours=23))
        await store(connection, [row("d", at, 53.4, -2.9) for at in sorted(times)], marked=False)
        await connection.execute(ensure, [DAY.date(), (DAY + timedelta(days=1)).date()])
        days = await connection.fetch("SELECT fleetline_history_days()")
        await connection.execute("SELECT fleetline_drop_day($1)", days[1][0])
        left = await connection.fetch("SELECT recorded_at FROM locations ORDER BY 1")
        await connection.close()
        return [[day[0] for day in days], [r[0] for r in left]]

    days, left = asyncio.run(later())
    assert days == [DAY.date(), (DAY + timedelta(days=1)).date()]
    assert left == [DAY, DAY + timedelta(hours=23)]
    assert ask(database_url, ranges) == 1
    ask(database_url, ensure, [(DAY + timedelta(days=2)).date()])
    fill_at = DAY + timedelta(days=2)

    async def two_ends() -> None:
        connection = await asyncpg.connect(database_url)
        rows = [row("d", fill_at + timedelta(hours=h), 53.4, -2.9) for h in (1, 7, 13, 19)]
        await store(connection, rows, marked=False)
        await connection.close()

    asyncio.run(two_ends())
    assert ask(database_url, ranges) == 5


def test_a_trip_of_another_database_is_told_at_home_once(pair: tuple[str, str]) -> None:
    count = "SELECT count(*) FROM events WHERE type = 'trip.ended'"

    def moved(hours: float) -> list[Any]:
        return [
            row("d", r[1] - DAY + NOW - timedelta(hours=8 + hours), *r[2:4])
            for r in drive("d", 0.0)
        ]

    async def main() -> None:
        home, other = [await asyncpg.connect(url) for url in pair]
        await store(other, moved(2), marked=False)
        await follow_to(pair[1], RULES, NOW, CELLS)
        told = await other.fetchval(count)
        assert told > 0
        events = HomeEvents(lambda: connect(pair[0], ConnectionTerms("test", 5)))
        # Cut off between the two databases, it is moved again.
        rows = await other.fetch("SELECT * FROM events")
        assert await events.bring(other) == told
        await other.executemany(
            "INSERT INTO events (event_id, type, driver_id, at, recorded_at, data)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (r["event_id"], r["type"], r["driver_id"], r["at"], r["recorded_at"], r["data"])
                for r in rows
            ],
        )
        assert await events.bring(other) == told
        assert await home.fetchval(count) == told
        assert await other.fetchval(count) == 0
        events.close()
        for connection in (home, other):
            connection.terminate()

    asyncio.run(main())


def test_a_start_goes_on_without_one_but_not_without_home(
    pair: tuple[str, str], redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def settings(*urls: str) -> Settings:
        return load_settings(redis_url=redis_server.url, database_urls=",".join(urls))

    asyncio.run(preflight(settings(*pair)))
    asyncio.run(preflight(settings(pair[0], NO_DATABASE), go_on=True))
    assert "database 2 of 2: DATABASE_URL: the database does not answer" in capsys.readouterr().out
    for urls, go_on in [((pair[0], NO_DATABASE), False), ((NO_DATABASE, pair[1]), True)]:
        with pytest.raises(FleetlineError, match="does not answer"):
            asyncio.run(preflight(settings(*urls), go_on=go_on))
