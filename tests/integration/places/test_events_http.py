"""The feed over HTTP: filters, pages that neither miss nor repeat, who may read it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.events.happening import Happening, HappeningType
from common.events.record import record
from tests.access import AUTH, bearer, token
from tests.servers.ingest_server import ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
DESK = bearer(token("operator", "desk"))
# Found out every ten seconds for the last forty minutes; every seventh is a driver's end.
EVENTS = [
    Happening(
        type=HappeningType.FENCE_ENTER if n % 7 else HappeningType.DRIVER_OFFLINE,
        driver_id=f"d{n % 3}",
        geofence_id=f"f{n % 2}" if n % 7 else None,
        at=NOW - timedelta(seconds=2400 - 10 * n),
        recorded_at=NOW - timedelta(seconds=2500 - 10 * n),
        data={"n": n},
    )
    for n in range(240)
]
ANCIENT = Happening(type=HappeningType.DRIVER_ONLINE, driver_id="d0", at=NOW - timedelta(days=31))
OLD = Happening(type=HappeningType.DRIVER_ONLINE, driver_id="d0", at=NOW - timedelta(days=3))


def run(url: str, work: Any) -> Any:
    async def main() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(main())


@pytest.fixture(scope="module")
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    url = postgres_session.url(name)

    async def fill(connection: Any) -> None:
        for some in ([ANCIENT, OLD], EVENTS[:100], EVENTS[100:]):
            async with connection.transaction():
                assert await record(connection, some) == len(some)
        # The same again is nothing new.
        async with connection.transaction():
            assert await record(connection, EVENTS[50:60]) == 0

    run(url, fill)
    yield url
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def api(redis_session: AnyRedis, database: str) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database, **AUTH) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", headers=DESK, timeout=10) as client,
    ):
        yield client


def numbers(body: dict[str, Any]) -> list[int]:
    return [event["data"]["n"] for event in body["events"]]


def pages(api: httpx.Client, **query: Any) -> list[int]:
    """All pages, by their cursors; the Link header says the same."""
    found: list[int] = []
    answer = api.get("events", params=query)
    while True:
        body = answer.raise_for_status().json()
        assert body["count"] == len(body["events"]) <= query["limit"]
        found += numbers(body)
        if body["next_cursor"] is None:
            assert "next" not in answer.links
            return found
        assert body["cursor"] == body["next_cursor"]
        answer = api.get(answer.links["next"]["url"].removeprefix("/api/v1/"))


def test_an_event_is_the_object_that_everybody_gets(api: httpx.Client) -> None:
    body = api.get("events", params={"limit": 2}).json()
    first, second = EVENTS[:2]
    assert [event["event_id"] for event in body["events"]] == [first.event_id, second.event_id]
    found = body["events"][1]
    assert list(found) == [
        "event_id", "type", "driver_id", "geofence_id", "at", "recorded_at", "data",
    ]  # fmt: skip
    assert found["type"] == "geofence.enter"
    assert found["at"] == second.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "geofence_id" not in body["events"][0]


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ({}, lambda n: True),
        ({"driver_id": "d1"}, lambda n: n % 3 == 1),
        ({"type": "driver.offline"}, lambda n: n % 7 == 0),
        ({"type": "driver.offline,geofence.enter", "driver_id": "d2"}, lambda n: n % 3 == 2),
        ({"geofence_id": "f1"}, lambda n: n % 7 and n % 2),
        ({"geofence_id": "f1", "driver_id": "d0"}, lambda n: n % 7 and n % 2 and n % 3 == 0),
        ({"since": (NOW - timedelta(seconds=400)).isoformat()}, lambda n: n >= 200),
        ({"since": (NOW - timedelta(seconds=395)).isoformat()}, lambda n: n >= 201),
        ({"since": (NOW + timedelta(days=1)).isoformat()}, lambda n: False),
        ({"since": "2026-01-01T00:00:00Z", "type": "driver.offline"}, lambda n: n % 7 == 0),
    ],
)
@pytest.mark.parametrize("limit", [7, 1000])
def test_filters_and_pages(api: httpx.Client, query: Any, keep: Any, limit: int) -> None:
    assert pages(api, limit=limit, **query) == [n for n in range(240) if keep(n)]


def test_whoever_follows_misses_nothing_that_is_recorded_meanwhile(
    api: httpx.Client, database: str
) -> None:
    """Two write at the same time: who commits first comes first, whoever began first."""
    body = api.get("events", params={"limit": 1000}).json()
    late = [
        Happening(type=HappeningType.DRIVER_ONLINE, driver_id="new", at=NOW, key=str(n))
        for n in range(3)
    ]

    async def write(connection: Any) -> None:
        other = await asyncpg.connect(database)
        async with connection.transaction():
            # A number is taken, and another transaction would commit before this one.
            await record(connection, late[:1])
            waiting = asyncio.create_task(record_in(other, late[1:2]))
            await asyncio.wait((waiting,), timeout=0.2)
            assert not waiting.done()
            shown = api.get("events", params={"cursor": body["cursor"]}).json()
            assert shown["events"] == []
            assert shown["cursor"] == body["cursor"]
        await waiting
        await other.close()
        await record_in(connection, late[2:])

    async def record_in(connection: Any, events: list[Happening]) -> None:
        async with connection.transaction():
            await record(connection, events)

    run(database, write)
    shown = api.get("events", params={"cursor": body["cursor"], "limit": 2}).json()
    rest = api.get("events", params={"cursor": shown["next_cursor"], "limit": 2}).json()
    found = [event["event_id"] for event in (*shown["events"], *rest["events"])]
    assert found == [happening.event_id for happening in late]


def test_what_is_older_than_events_are_kept_is_dropped(api: httpx.Client) -> None:
    def oldest() -> Any:
        since = (NOW - timedelta(days=40)).isoformat()
        return api.get("events", params={"since": since, "limit": 1}).json()["events"][0]

    wait_until(lambda: oldest()["event_id"] == OLD.event_id, what="it is dropped")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=geofence.burned", "type"),
        ("type=", "type"),
        ("cursor=x", "cursor"),
        ("cursor=-1", "cursor"),
        ("cursor=9999999999999999999", "cursor"),
        ("driver_id=%00", "driver_id"),
        ("geofence_id=a%20b", "geofence_id"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("since=yesterday", "since"),
        ("type=a&type=b", "type"),
    ],
)
def test_what_is_wrong_is_named(api: httpx.Client, query: str, field: str) -> None:
    answer = api.get(f"events?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (bearer(token("operator", "desk")), 200),
        (bearer(token("gateway", "shop")), 200),
        (bearer(token("driver", "d1")), 403),
        (bearer(token("tracker", "o1", order_id="o1")), 403),
        ({"Authorization": ""}, 401),
    ],
)
def test_operators_and_gateways_read_it(
    api: httpx.Client, credentials: dict[str, str], status: int
) -> None:
    assert api.get("events", headers=credentials).status_code == status
