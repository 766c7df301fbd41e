"""Matrix, route, matched route and nearby by arrival, with a road engine and without."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import shard_keys, shard_of
from common.roads.way import Point
from tests.access import AUTH, bearer, token
from tests.integration.insight.insight_history import row
from tests.integration.insight.insight_history import store as store_rows
from tests.roles.roads import STREET_M, engine, make_store, needs_engine, place
from tests.servers.ingest_server import ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

SHARDS = 4
DAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


def at(point: Point) -> dict[str, float]:
    return {"latitude": point[0], "longitude": point[1]}


def put(store: Any, driver_id: str, point: Point, *, age_s: float = 0) -> None:
    """A live position, as a worker would write it."""
    keys = shard_keys("driver-locations", shard_of(driver_id, SHARDS), SHARDS)
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    update = LocationUpdate(latitude=point[0], longitude=point[1])
    store.hset(keys.live, driver_id, encode_event(driver_id, update, when, when))
    store.geoadd(keys.geo, (point[1], point[0], driver_id))


@pytest.fixture(scope="module")
def with_roads(
    tmp_path_factory, redis_session: AnyRedis, postgres_session: PostgresServer
) -> Iterator[httpx.Client]:
    """An ingest with an engine, and a driver's morning in its history."""
    name = postgres_session.create_database()
    url = postgres_session.url(name)
    asyncio.run(_drive(url))
    redis_session.clear()
    with (
        engine(make_store(tmp_path_factory.mktemp("roads"), island=True)) as roads,
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=url, ROADS_URL=roads.url) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=10) as client,
    ):
        yield client
    postgres_session.drop_database(name)


async def _drive(url: str) -> None:
    """East along a street, then north: 10 streets in 10 s each; and a jitter beside the road."""
    connection = await asyncpg.connect(url)
    corners = [(e, 2.02) for e in range(6)] + [(4.98, n + 2) for n in range(1, 6)]
    rows = [
        row("d1", DAY + timedelta(seconds=15 * n), *place(*corner))
        for n, corner in enumerate(corners)
    ]
    await store_rows(connection, rows, marked=False)
    await connection.close()


def by_road(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is by road: on a busy machine the engine may be late once."""
    answers = [ask()]

    def is_by_road() -> bool:
        found = answers[-1].json()
        if found.get("properties", found).get("method") != "straight":
            return True
        answers.append(ask())
        return False

    wait_until(is_by_road, timeout_s=30, what="an answer by road")
    return answers[-1]


@needs_engine
def test_a_matrix_by_road(with_roads, redis_server, store):
    put(store, "d1", place(1, 1))
    put(store, "old", place(1, 1), age_s=4000)
    body = {
        "sources": [{"driver_id": "d1"}, {"driver_id": "old"}, at(place(3, 3))],
        "targets": [at(place(4, 1)), at(place(-5, 0.5)), {"driver_id": "nobody"}],
    }
    answer = by_road(lambda: with_roads.post("matrix", json=body))
    assert answer.status_code == 200
    found = answer.json()
    assert found["method"] == "roads"
    assert found["without_position"] == ["nobody", "old"]
    assert found["distances_m"][0][0] == pytest.approx(3 * STREET_M, rel=0.01)
    assert found["distances_m"][2][0] == pytest.approx(3 * STREET_M, rel=0.01)
    assert found["durations_s"][0][1:] == [None, None]
    assert found["durations_s"][1] == [None, None, None]


@needs_engine
def test_a_route_by_road(with_roads, redis_server, store):
    body = {"points": [at(place(*p)) for p in ((0, 0), (2, 2))]}
    answer = by_road(lambda: with_roads.post("route", json=body))
    assert answer.headers["content-type"] == "application/geo+json"
    found = answer.json()
    facts = found["properties"]
    assert facts["method"] == "roads"
    assert facts["distance_m"] == pytest.approx(4 * STREET_M, rel=0.01)
    assert facts["duration_s"] > 0
    assert len(facts["legs"]) == 1
    assert found["geometry"]["type"] == "LineString"
    assert found["geometry"]["coordinates"][0] == pytest.approx([9.5, 47.1], abs=1e-4)


@needs_engine
def test_where_no_road_leads(with_roads, redis_server, store):
    points = [at(place(1, 1)), at(place(-5, 0.5))]
    answer = by_road(lambda: with_roads.post("route", json={"points": points}))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/no-way")
    answer = with_roads.post("route", json={"points": [points[0], {"driver_id": "nobody"}]})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/no-position")


@needs_engine
def test_a_city_that_the_graph_lacks_is_answered_straight(with_roads, redis_server):
    points = [{"latitude": 41.9, "longitude": 12.5}, {"latitude": 41.91, "longitude": 12.5}]
    found = with_roads.post("route", json={"points": points}).json()
    assert found["properties"]["method"] == "straight"
    assert found["geometry"]["coordinates"] == [[12.5, 41.9], [12.5, 41.91]]


@needs_engine
def test_a_bicycle_has_no_graph_here(with_roads, redis_server):
    body = {"points": [at(place(0, 0)), at(place(2, 2))], "vehicle": "bicycle"}
    assert with_roads.post("route", json=body).json()["properties"]["method"] == "straight"


@needs_engine
def test_who_is_there_first_comes_first(with_roads, redis_server, store):
    # Across the block as the crow flies; the roads lead around it.
    put(store, "across", place(2.5, 0.0))
    put(store, "along", place(0.0, 0.0))
    put(store, "island", place(-5, 0.5))
    target: dict[str, Any] = {"lat": place(2.5, 1.0)[0], "lng": place(2.5, 1.0)[1], "radius": 3000}
    plain = with_roads.get("drivers/nearby", params=target).json()
    assert [d["driver_id"] for d in plain["drivers"]] == ["across", "along", "island"]
    assert "method" not in plain
    assert "remaining_s" not in plain["drivers"][0]
    target["sort"] = "arrival"
    found = by_road(lambda: with_roads.get("drivers/nearby", params=target)).json()
    assert found["method"] == "roads"
    assert found["count"] == 3
    first, second, last = found["drivers"]
    assert first["remaining_s"] <= second["remaining_s"]
    assert first["remaining_m"] == pytest.approx(2 * STREET_M, rel=0.02)
    assert (last["driver_id"], last["remaining_s"], last["remaining_m"]) == ("island", None, None)
    assert last["distance"] > 0


@needs_engine
def test_a_matched_route_lies_on_the_roads(with_roads, redis_server):
    span = {"start_time": DAY.isoformat(), "end_time": (DAY + timedelta(hours=1)).isoformat()}
    answer = by_road(lambda: with_roads.get("drivers/d1/matched-route", params=span))
    assert answer.status_code == 200
    found = answer.json()
    facts = found["properties"]
    assert facts["method"] == "roads"
    assert facts["count"] == 11
    assert facts["distance_m"] == pytest.approx(10 * STREET_M, rel=0.03)
    assert len(facts["pieces"]) == 1
    assert facts["pieces"][0]["start_time"] == "2026-03-02T08:00:00Z"
    latitudes = {round(y, 5) for _, y in found["geometry"]["coordinates"][:5]}
    assert latitudes == {round(place(0, 2)[0], 5)}
    pages: list[Any] = []
    query: dict[str, Any] = {**span, "limit": 6}
    while True:
        answer = with_roads.get("drivers/d1/matched-route", params=query)
        pages.append(answer.json()["properties"])
        if pages[-1]["next_cursor"] is None:
            break
        assert 'rel="next"' in answer.headers["link"] or "rel=next" in answer.headers["link"]
        query["cursor"] = pages[-1]["next_cursor"]
    assert [page["count"] for page in pages] == [6, 5]


def test_without_an_engine_everything_answers_straight(api: httpx.Client, store):
    put(store, "d1", place(1, 1))
    points = [{"driver_id": "d1"}, at(place(4, 1))]
    found = api.post("/api/v1/route", json={"points": points}).json()
    assert found["properties"]["method"] == "straight"
    assert found["properties"]["distance_m"] > 3 * STREET_M
    matrix = api.post("/api/v1/matrix", json={"sources": points, "targets": points}).json()
    assert matrix["method"] == "straight"
    assert matrix["durations_s"][0][0] == 0
    assert matrix["durations_s"][0][1] == found["properties"]["duration_s"]
    near: dict[str, Any] = {"lat": place(1, 1)[0], "lng": place(1, 1)[1], "sort": "arrival"}
    assert api.get("/api/v1/drivers/nearby", params=near).json()["method"] == "straight"


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("matrix", {"sources": [{}], "targets": []}, {"sources[0]", "targets"}),
        ("route", {"points": [at(place(0, 0))], "vehicle": "boat"}, {"points", "vehicle"}),
    ],
)
def test_fields_at_fault_are_named(api: httpx.Client, path, body, fields):
    answer = api.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.json()["errors"]} == fields


@pytest.mark.parametrize("query", [{"sort": "speed"}, {"vehicle": "boat"}])
def test_parameters_at_fault_are_named(api: httpx.Client, query):
    answer = api.get("/api/v1/drivers/nearby", params={"lat": 1, "lng": 2, **query})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == list(query)


def test_bodies_are_bounded(api: httpx.Client):
    headers = {"content-type": "application/json"}
    assert api.post("/api/v1/matrix", content=b" " * 70_000, headers=headers).status_code == 413
    assert api.post("/api/v1/route", content=b"{", headers=headers).status_code == 400
    assert (
        api.post("/api/v1/route", content=b"x", headers={"content-type": "a/b"}).status_code == 415
    )


@pytest.fixture(scope="module")
def closed(redis_session: AnyRedis) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, **AUTH) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=10) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["matrix", "route"])
def test_who_may_ask_the_roads(closed: httpx.Client, redis_server, store, path):
    with contextlib.suppress(KeyError):
        put(store, "d1", place(1, 1))
    here, driver = at(place(1, 1)), {"driver_id": "d1"}

    def status(named: dict[str, Any], headers: dict[str, str]) -> int:
        lists = {"sources": [named], "targets": [here]}
        body = lists if path == "matrix" else {"points": [named, here]}
        return closed.post(path, json=body, headers=headers).status_code

    operator, gateway = (bearer(token(role, "x")) for role in ("operator", "gateway"))
    assert status(here, {}) == 401
    assert status(here, operator) == status(driver, operator) == 200
    assert status(here, gateway) == 200
    # Where a driver is follows from a few travel times.
    assert status(driver, gateway) == 403
    for role in ("driver", "tracker"):
        more = {"order_id": "o1"} if role == "tracker" else {}
        assert status(here, bearer(token(role, "d1", **more))) == 403


def test_who_may_read_a_matched_route(closed: httpx.Client):
    def status(headers: dict[str, str]) -> int:
        return closed.get("drivers/d1/matched-route", headers=headers).status_code

    # There is no database: whoever may ask is told 503.
    assert status({}) == 401
    assert status(bearer(token("driver", "d1"))) == status(bearer(token("operator", "o"))) == 503
    assert status(bearer(token("driver", "d2"))) == status(bearer(token("gateway", "g"))) == 403
