"""Routes from a real PostgreSQL, rows written as the history stage would."""

import asyncio
import csv
import io
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.event import COLUMNS
from ingest.http.read_limiter import WAIT_MAX_S
from tests.servers.ingest_server import ingest
from tests.servers.postgres import Databases, postgres
from tests.servers.redis_cluster import AnyRedis
from tests.servers.timescale import compress
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[str]:
    """A database with 2,500 fixes of one driver, a second apart, and one old fix of another.

    On TimescaleDB all of them are in the columnstore.
    """
    name = databases.create_database()
    rows = [row("d", NOW - timedelta(seconds=i), latitude=i / 1000) for i in range(1, 2501)]
    rows.append(row("old", NOW - timedelta(days=3)))
    rows.append(row("once", NOW - timedelta(hours=1), altitude=12.5, order_id="o1"))
    asyncio.run(fill(databases.url(name), rows))
    yield databases.url(name)
    databases.drop_database(name)


def row(driver_id: str, when: datetime, **values: Any) -> tuple[Any, ...]:
    given = {"driver_id": driver_id, "recorded_at": when, "received_at": when, "latitude": 1.0}
    record = {**dict.fromkeys(COLUMNS), "longitude": 2.0, **given, **values}
    return tuple(record[name] for name in COLUMNS)


async def fill(url: str, rows: list[tuple[Any, ...]]) -> None:
    connection = await asyncpg.connect(url)
    days = sorted({r[COLUMNS.index("recorded_at")].date() for r in rows})
    await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", days)
    await connection.copy_records_to_table("locations", records=rows, columns=COLUMNS)
    await compress(connection)
    await connection.close()


@pytest.fixture(scope="module")
def api(database: str, redis_session: AnyRedis) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database) as server,
        httpx.Client(base_url=server.url, timeout=15) as client,
    ):
        yield client


def route(api: httpx.Client, driver_id: str = "d", **query: object) -> httpx.Response:
    answer = api.get(f"/api/v1/drivers/{driver_id}/route", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer


def test_a_route_is_the_last_day_oldest_first(api: httpx.Client) -> None:
    found = route(api).json()
    assert (found["driver_id"], found["count"]) == ("d", 1000)
    times = [p["recorded_at"] for p in found["points"]]
    assert times == sorted(times)
    assert times[0] == (NOW - timedelta(seconds=2500)).isoformat().replace("+00:00", "Z")
    assert set(found["points"][0]) == {
        "latitude", "longitude", "speed", "heading", "accuracy", "order_id", "recorded_at",
        "received_at",
    }  # fmt: skip


def test_pages_join_without_a_gap_or_a_repeat(api: httpx.Client) -> None:
    times: list[str] = []
    pages, cursor = 0, None
    while True:
        found = route(api, limit=600, **({"cursor": cursor} if cursor else {})).json()
        times += [p["recorded_at"] for p in found["points"]]
        pages += 1
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert pages == 5
    assert len(times) == len(set(times)) == 2500
    assert times == sorted(times)


@pytest.mark.parametrize("limit", [1, 200, 201, 1000, 1001, 1002, 2002, 2499])
def test_a_page_made_of_pieces_is_whole_and_the_next_goes_on(api: httpx.Client, limit: int) -> None:
    first = route(api, limit=limit).json()
    assert first["count"] == len(first["points"]) == limit
    second = route(api, limit=10_000, cursor=first["next_cursor"]).json()
    assert limit + second["count"] == 2500
    times = [p["recorded_at"] for p in first["points"] + second["points"]]
    assert times == sorted(set(times))


def test_the_link_header_leads_through_every_format(api: httpx.Client) -> None:
    answer = route(api, limit=1500, format="csv")
    first = list(csv.DictReader(io.StringIO(answer.text)))
    following = api.get(answer.links["next"]["url"])
    second = list(csv.DictReader(io.StringIO(following.text)))
    assert (len(first), len(second)) == (1500, 1000)
    assert first[-1]["recorded_at"] < second[0]["recorded_at"]
    assert "next" not in following.links


def test_a_last_page_that_is_just_full_has_no_next(api: httpx.Client) -> None:
    found = route(api, limit=2500).json()
    assert (found["count"], found["next_cursor"]) == (2500, None)


def test_a_window_has_its_start_and_not_its_end(api: httpx.Client) -> None:
    start, end = NOW - timedelta(seconds=20), NOW - timedelta(seconds=10)
    found = route(api, start_time=start.isoformat(), end_time=end.isoformat()).json()
    times = [datetime.fromisoformat(p["recorded_at"]) for p in found["points"]]
    assert (times[0], times[-1]) == (start, end - timedelta(seconds=1))
    assert found["count"] == 10


def test_an_older_route_must_be_asked_for(api: httpx.Client) -> None:
    assert route(api, "old").json()["points"] == []
    start = (NOW - timedelta(days=4)).isoformat()
    assert route(api, "old", start_time=start).json()["count"] == 1
    assert route(api, "nobody").json()["count"] == 0


@pytest.mark.parametrize(
    ("form", "media_type", "part"),
    [
        ("json", "application/json", '"order_id":"o1"'),
        ("geojson", "application/geo+json", '"coordinates":[2.0,1.0,12.5]'),
        ("gpx", "application/gpx+xml", "<ele>12.5</ele>"),
        ("csv", "text/csv", ",o1,"),
    ],
)
def test_formats(api: httpx.Client, form: str, media_type: str, part: str) -> None:
    answer = route(api, "once", format=form)
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert part in answer.text


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_ends_of_time_are_no_500(api: httpx.Client, year: str) -> None:
    for name in ("start_time", "end_time"):
        answer = api.get("/api/v1/drivers/d/route", params={name: f"{year}-01-01T00:00:00Z"})
        assert answer.status_code in (200, 422)
    answer = api.get("/api/v1/drivers/d/route", params={"cursor": "253402300799999999"})
    assert answer.status_code in (200, 422)


def test_health_sees_the_database(api: httpx.Client) -> None:
    assert api.get("/health").json()["database"] == "up"


def test_a_database_outage_is_503_for_routes_alone_and_heals(redis_server: AnyRedis) -> None:
    with postgres() as server:
        url = server.url(server.create_database())
        with (
            ingest(REDIS_URL=redis_server.url, DATABASE_URL=url, ROUTE_TIMEOUT_S="1") as process,
            httpx.Client(base_url=process.url, timeout=10) as client,
        ):
            assert route(client).json()["count"] == 0
            server.stop()
            answer = client.get("/api/v1/drivers/d/route")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            fix = {"latitude": 1, "longitude": 2}
            assert client.post("/api/v1/drivers/d/location", json=fix).status_code == 202
            wait_until(lambda: client.get("/health").json()["database"] == "down")
            assert client.get("/health").json()["status"] == "degraded"
            server.start()
            wait_until(lambda: client.get("/api/v1/drivers/d/route").status_code == 200)
            wait_until(lambda: client.get("/health").json()["database"] == "up")


def test_a_silent_database_is_503_in_time_and_health_still_answers(
    redis_server: AnyRedis,
) -> None:
    # A listener that never accepts: connections open, nothing ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x"
        with (
            ingest(REDIS_URL=redis_server.url, DATABASE_URL=url, ROUTE_TIMEOUT_S="1") as process,
            httpx.Client(base_url=process.url, timeout=10) as client,
        ):
            for _ in range(3):
                begin = time.monotonic()
                assert client.get("/health").json()["database"] == "down"
                assert time.monotonic() - begin < 1
                begin = time.monotonic()
                assert client.get("/api/v1/drivers/d/route").status_code == 503
                assert time.monotonic() - begin < 2


def test_routes_that_hang_hold_up_neither_health_nor_later_routes(
    redis_server: AnyRedis, database_url: str
) -> None:
    with ingest(
        REDIS_URL=redis_server.url, DATABASE_URL=database_url, ROUTE_TIMEOUT_S="1"
    ) as server:
        asyncio.run(hang_routes(server.url, database_url))
        wait_until(lambda: httpx.get(f"{server.url}/api/v1/drivers/d/route").status_code == 200)


async def hang_routes(url: str, database_url: str) -> None:
    lock = await asyncpg.connect(database_url)
    try:
        patience_s = WAIT_MAX_S + 5
        async with (
            lock.transaction(),
            httpx.AsyncClient(base_url=url, timeout=patience_s) as client,
        ):
            await lock.execute("LOCK TABLE locations IN ACCESS EXCLUSIVE MODE")
            begin = time.monotonic()
            # More than there are connections for routes.
            routes = [client.get("/api/v1/drivers/d/route") for _ in range(10)]
            health, *answers = await asyncio.gather(client.get("/health"), *routes)
            assert {a.status_code for a in answers} == {503}
            # In line for a turn, then a route's own timeout, and a second for everything else.
            assert time.monotonic() - begin < WAIT_MAX_S + 1 + 1
            assert health.json()["database"] == "up"
    finally:
        await lock.close()
