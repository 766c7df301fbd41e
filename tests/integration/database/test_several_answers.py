"""Two databases answer as one does that has all of it, also those that one was split into."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.databases.placing import database_of
from common.errors import ConfigError
from common.geo import cells
from consumers.insight.fold.rules import Rules
from deploy.tools.databases.split import split_all
from tests.integration.insight.insight_history import follow_to, row, store
from tests.roles.several import seat_databases, two_databases
from tests.servers import RedisServer
from tests.servers.ingest_server import ingest
from tests.servers.pgbouncer import needs_pgbouncer, pgbouncer, through
from tests.servers.postgres import Databases, PostgresServer
from tests.stack import fleetline

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime.now(UTC).replace(microsecond=0)
DRIVERS = [f"driver-{n}" for n in range(6)]
CELLS = cells.cell_function() if cells.available() else None
RULES = Rules(speed_limit_kmh=50, cells=cells.available())
ORDER = "order-of-the-second"


def ask(url: str, sql: str, *args: object) -> Any:
    async def once() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql, *args)
        finally:
            connection.terminate()

    return asyncio.run(once())


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
            # Cells of one value come in any order.
            found[path].get("cells", []).sort(key=lambda cell: cell["cell"])
        cursor = found["fleet/summary?limit=2"]["next_cursor"]
        after = api.get("fleet/summary", params={**span, "limit": 2, "cursor": cursor})
        found["page 2"] = after.json()
        found["health"] = httpx.get(f"{server.url}/health").json()["missing_databases"]
        ordered = api.put(f"orders/{ORDER}", json={"driver_id": DRIVERS[3]})
        assert ordered.is_success, ordered.text
        journey = api.get(f"orders/{ORDER}/journey").json()
        found["journey"] = {name: journey[name] for name in ("fixes", "distance_m")}
    return found


@pytest.fixture(scope="module")
def alone(databases: Databases, redis_session: RedisServer) -> Iterator[tuple[str, Any]]:
    """One database with all of it, and what is answered from it."""
    name = databases.create_database()
    url = databases.url(name)
    asyncio.run(fill_history((url,)))
    seat_databases((url,))
    redis_session.command("FLUSHALL")
    yield url, answers(redis_session.url, (url,))
    databases.drop_database(name)


def test_two_databases_answer_as_one_does(
    alone: tuple[str, Any], pair: tuple[str, str], redis_server: RedisServer
) -> None:
    _, one = alone
    asyncio.run(fill_history(pair))
    assert answers(redis_server.url, pair) == one
    assert one["page 2"]["count"] == 2
    assert one["journey"]["fixes"] == 9


@needs_pgbouncer
def test_behind_a_pooler_without_sessions_it_answers_alike(
    alone: tuple[str, Any],
    databases: Databases,
    postgres_session: PostgresServer,
    redis_server: RedisServer,
) -> None:
    if databases is not postgres_session:
        pytest.skip("the pooler stands before PostgreSQL")
    url, one = alone
    with pgbouncer(postgres_session.port, "transaction") as port:
        assert answers(redis_server.url, (through(url, port),)) == one


def test_two_copies_of_one_are_split(
    databases: Databases, alone: tuple[str, Any], redis_server: RedisServer
) -> None:
    url, before = alone
    copies = [databases.copy_of(url) for _ in range(2)]
    urls = (databases.url(copies[0]), databases.url(copies[1]))
    said: list[str] = []
    with two_databases(databases, databases) as others:
        for wrong, why in [
            (f"{urls[0]}?application_name=x", "number 2 is one of those before it"),
            (others[0], "no copies of databases of one system"),
        ]:
            with pytest.raises(ConfigError, match=why):
                asyncio.run(split_all((urls[0], wrong), said.append, remove=True))
    # Something was stored since it was copied.
    gone = "DELETE FROM locations WHERE driver_id = $1 RETURNING recorded_at"
    stale = databases.copy_of(urls[1])
    ask(databases.url(stale), gone, DRIVERS[3])
    with pytest.raises(ConfigError, match="number 2 does not hold what number 1 does"):
        asyncio.run(split_all((urls[0], databases.url(stale)), said.append, remove=True))
    databases.drop_database(stale)
    extra = {"DATABASE_URLS": ",".join(urls)}
    assert fleetline("databases", "split", extra=extra).stdout.count("would keep its own") == 2
    # Nothing has changed.
    seat_databases(urls[:1])
    # Cut off in the second, the next run goes on.
    ask(urls[1], "UPDATE fleetline_database SET number = -2, databases = 2")
    asyncio.run(split_all(urls, said.append, remove=True))
    again = fleetline("databases", "split", "--yes", extra=extra)
    assert "each has its own drivers alone" in again.stdout, again.stderr
    seat_databases(urls)
    assert ask(urls[1], "SELECT count(*) FROM orders") == 0
    assert answers(redis_server.url, urls) == before
    for copy in copies:
        databases.drop_database(copy)
