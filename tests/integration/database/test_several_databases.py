"""Several databases: each knows which one it is, and questions find their answers."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.databases.connecting import NO_CITUS, ConnectionTerms, connect
from common.databases.placing import database_of
from common.databases.seat import ONLY, seats
from common.errors import ConfigError
from common.geo import cells
from consumers.history.table import HistoryTable
from consumers.insight.fold.rules import Rules
from consumers.insight.home_events import HomeEvents
from deploy.schema.migrate import migrate
from deploy.schema.seating import settle_chunk, take_seats
from deploy.tools.databases.split import split_all
from tests.integration.insight.insight_history import follow_to, row, store
from tests.roles.several import two_databases
from tests.servers import RedisServer
from tests.servers.ingest_server import ingest
from tests.servers.postgres import Databases, PostgresServer

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime.now(UTC).replace(microsecond=0)
DRIVERS = [f"driver-{n}" for n in range(6)]
CELLS = cells.cell_function() if cells.available() else None
RULES = Rules(speed_limit_kmh=50, cells=cells.available())
ORDER = "order-of-the-second"


@pytest.fixture
def pair(databases: Databases) -> Iterator[tuple[str, str]]:
    with two_databases(databases, databases) as urls:
        yield urls


def ask(url: str, sql: str, *args: object) -> Any:
    async def once() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql, *args)
        finally:
            connection.terminate()

    return asyncio.run(once())


def fill(url: str, driver: str = "d") -> None:
    async def one_fix() -> None:
        connection = await asyncpg.connect(url)
        await store(connection, [row(driver, DAY, 53.4, -2.9)], marked=False)
        await connection.close()

    asyncio.run(one_fix())


def test_databases_with_rows_keep_their_places(pair: tuple[str, str], databases: Databases) -> None:
    for url in pair:
        fill(url)
    asyncio.run(take_seats(pair))
    with pytest.raises(ConfigError, match="database 1 of 2 was stored as database 2 of 2"):
        asyncio.run(take_seats(pair[::-1]))
    with pytest.raises(ConfigError, match="database 1 of 1 was stored as database 1 of 2"):
        asyncio.run(take_seats(pair[:1]))
    with two_databases(databases, databases) as others:
        with pytest.raises(ConfigError, match="database 2 of 2 belongs to another system"):
            asyncio.run(take_seats((others[0], pair[1])))
        # What is empty may be told anew.
        asyncio.run(take_seats((pair[0], others[1])))


def test_one_that_has_rows_is_the_only_one(database_url: str, databases: Databases) -> None:
    """Another beside it would get half of its drivers, whose past stays where it is."""
    fill(database_url)
    asyncio.run(take_seats((database_url,)))
    name = databases.create_database()
    with pytest.raises(ConfigError, match="database 1 of 2 was stored as database 1 of 1"):
        asyncio.run(take_seats((database_url, databases.url(name))))
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


def drive(driver_id: str, north: float) -> list[Any]:
    """Ten minutes of driving, five of standing, again and again."""
    rows, latitude = [], 53.4 + north
    for n in range(360):
        latitude += 0.0015 if n % 90 < 60 else 0.0
        when = DAY + timedelta(hours=8, seconds=10 * n)
        rows.append(row(driver_id, when, latitude, -2.9, speed=60.0))
    return rows


async def fill_history(urls: tuple[str, ...]) -> None:
    for number, url in enumerate(urls):
        ours = [d for d in DRIVERS if database_of(d, len(urls)) == number]
        assert ours
        connection = await asyncpg.connect(url)
        for driver in ours:
            await store(connection, drive(driver, 0.0002 * DRIVERS.index(driver)), marked=False)
        if DRIVERS[3] in ours:
            way = [(NOW - timedelta(minutes=30 - n), 53.4 + n / 100) for n in range(9)]
            named = [row(DRIVERS[3], at, north, -2.9, order_id=ORDER) for at, north in way]
            await store(connection, named, marked=False)
        await connection.close()
        await follow_to(url, RULES, DAY + timedelta(days=1), CELLS)


def answers(redis_url: str, urls: tuple[str, ...]) -> dict[str, Any]:
    """What an ingest says to everything that is asked of the history."""
    span = {"start_time": DAY.isoformat(), "end_time": (DAY + timedelta(days=1)).isoformat()}
    environment = {"REDIS_URL": redis_url, "DATABASE_URL": urls[0]}
    if len(urls) > 1:
        environment["DATABASE_URLS"] = ",".join(urls)
    found: dict[str, Any] = {}
    with (
        ingest(**environment) as server,
        httpx.Client(base_url=f"{server.url}/api/v1", timeout=15) as api,
    ):
        paths = [f"drivers/{d}/{what}" for d in DRIVERS for what in ("route", "trips", "stops")]
        paths += [f"drivers/{DRIVERS[0]}/summary?by=hour", "fleet/summary?by=hour", "fleet/summary"]
        paths += ["fleet/summary?group=none", "fleet/summary?limit=2"]
        if CELLS is not None:
            paths += [f"fleet/heat?of={of}" for of in ("drivers", "fixes", "stops", "speed")]
            paths.append("fleet/heat?of=speed&resolution=6")
        for path in paths:
            answer = api.get(path, params={**httpx.URL(path).params, **span})
            assert answer.status_code == 200, answer.text
            found[path] = answer.json()
        cursor = found["fleet/summary?limit=2"]["next_cursor"]
        after = api.get("fleet/summary", params={**span, "limit": 2, "cursor": cursor})
        found["page 2"] = after.json()
        found["health"] = httpx.get(f"{server.url}/health").json()["missing_databases"]
        ordered = api.put(f"orders/{ORDER}", json={"driver_id": DRIVERS[3]})
        assert ordered.is_success, ordered.text
        journey = api.get(f"orders/{ORDER}/journey").json()
        found["journey"] = {name: journey[name] for name in ("fixes", "distance_m")}
    return found


def test_two_databases_answer_as_one_does(
    databases: Databases,
    database_url: str,
    pair: tuple[str, str],
    redis_server: RedisServer,
) -> None:
    for urls in ((database_url,), pair):
        asyncio.run(fill_history(urls))
    asyncio.run(take_seats((database_url,)))
    one = answers(redis_server.url, (database_url,))
    redis_server.command("FLUSHALL")
    two = answers(redis_server.url, pair)
    for found in (one, two):
        for path in [path for path in found if "heat" in path]:
            found[path]["cells"].sort(key=lambda cell: cell["cell"])
    assert two == one
    assert one["page 2"]["count"] == 2
    assert one["journey"]["fixes"] == 9


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


def test_one_is_split_into_two_copies(
    databases: Databases, database_url: str, redis_server: RedisServer
) -> None:
    asyncio.run(fill_history((database_url,)))
    asyncio.run(take_seats((database_url,)))
    before = answers(redis_server.url, (database_url,))
    copy = databases.copy_of(database_url)
    urls = (database_url, databases.url(copy))
    said: list[str] = []
    again = f"{database_url}?application_name=x"
    with two_databases(databases, databases) as others:
        for wrong, why in [
            (again, "number 2 is one of those before it"),
            (others[0], "no copies of databases of one system"),
        ]:
            with pytest.raises(ConfigError, match=why):
                asyncio.run(split_all((database_url, wrong), said.append, remove=True))
    asyncio.run(split_all(urls, said.append, remove=False))
    # Nothing has changed.
    asyncio.run(take_seats((database_url,)))
    # Cut off in the second, the next run goes on.
    ask(urls[1], "UPDATE fleetline_database SET number = -2, databases = 2")
    for _ in range(2):
        asyncio.run(split_all(urls, said.append, remove=True))
    asyncio.run(take_seats(urls))
    assert ask(urls[1], "SELECT count(*) FROM orders") == 0
    redis_server.command("FLUSHALL")
    after = answers(redis_server.url, urls)
    for found in (before, after):
        for path in [path for path in found if "heat" in path]:
            found[path]["cells"].sort(key=lambda cell: cell["cell"])
    assert after == before
    databases.drop_database(copy)
