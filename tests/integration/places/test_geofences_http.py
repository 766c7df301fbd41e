"""Geofences over HTTP."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import jsonschema_rs
import pytest

from common.fences.limits import FENCES_MAX, VERTICES_SUM_MAX
from tests.access import AUTH, bearer, token
from tests.servers.ingest_server import ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis

POINT = {"type": "Point", "coordinates": [13.4, 52.5]}
CIRCLE: dict[str, Any] = {"name": "Depot", "geometry": POINT, "radius_m": 75}
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
OPERATOR = bearer(token("operator", "desk"))


@pytest.fixture(scope="module")
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def served(redis_session: AnyRedis, database: str) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database, **AUTH) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/geofences", timeout=10) as client,
    ):
        yield client


@pytest.fixture
def api(served: httpx.Client, database: str) -> httpx.Client:
    """As an operator, without any fence."""
    sql(database, "DELETE FROM geofences", "DELETE FROM fence_visits")
    served.headers.update(OPERATOR)
    return served


def sql(database: str, *statements: str) -> list[Any]:
    """The rows of the last statement."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(database)
        try:
            rows = [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()
        return rows[-1]

    return asyncio.run(run())


def put(api: httpx.Client, geofence_id: str, **changes: Any) -> httpx.Response:
    return api.put(f"/{geofence_id}", json={**CIRCLE, **changes})


def test_a_fence_is_made_changed_read_and_deleted(api: httpx.Client) -> None:
    terms = {
        "drivers": ["van-*", "bike-7"], "dwell_s": 60, "active": False,
        "expires_at": "2030-01-01T00:00:00Z", "schedule": {"days": ["sat"], "from": "08:00"},
    }  # fmt: skip
    made = put(api, "depot", **terms)
    assert made.status_code == 201
    stored = made.json()
    schedule = {"tz": "UTC", "windows": [{"days": ["sat"], "from": "08:00", "to": "24:00"}]}
    expected = {"geofence_id": "depot", **CIRCLE, **terms, "schedule": schedule, "width_m": None}
    assert {k: stored[k] for k in expected} == expected
    assert api.get("/depot").json() == stored
    # What it shows may be sent back; what the body leaves out is unset.
    again = api.put("/depot", json=stored)
    assert (again.status_code, again.json()["schedule"]) == (200, schedule)
    plain = put(api, "depot").json()
    assert (plain["drivers"], plain["dwell_s"], plain["active"]) == (None, None, True)
    assert plain["version"] > again.json()["version"] > stored["version"]
    assert plain["created_at"] == stored["created_at"] < plain["updated_at"]
    gone = api.delete("/depot")
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        answer = api.request(method, "/depot")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/no-geofence")


@pytest.mark.parametrize("name", ["..", "a b", "x" * 65, "a%00b"])
def test_an_impossible_id(api: httpx.Client, name: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        path = f"/{name.replace('..', '%2e%2e')}"
        status = api.request(method, path, json=CIRCLE if method == "PUT" else None).status_code
        assert status in (404, 405, 422)


def test_bad_bodies_say_what_and_where(api: httpx.Client) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    answer = put(api, "bad", geometry=bow, radius_m=None, dwell_s=-1)
    assert answer.status_code == 422
    errors = {e["field"]: e["detail"] for e in answer.json()["errors"]}
    assert set(errors) == {"geometry.coordinates[0]", "dwell_s"}
    assert "crosses itself at longitude 1.0" in errors["geometry.coordinates[0]"]
    assert api.put("/bad", content=b"{", headers={"content-type": "application/json"}).is_error
    for content, status in ((b"{", 400), (b"[]", 422), (b"[" * 100_000, 400), (b"\xff", 400)):
        headers = {"content-type": "application/json"}
        assert api.put("/bad", content=content, headers=headers).status_code == status
        assert api.post("/import", content=content, headers=headers).status_code == status
    assert api.put("/bad", content=b"x", headers={"content-type": "text/x"}).status_code == 415
    large = b" " * 1_048_577
    assert api.put("/bad", content=large).status_code == 413
    assert api.get("/bad").status_code == 404


def test_the_list_is_paged_and_comes_back_in(api: httpx.Client) -> None:
    for n in range(5):
        put(api, f"f-{n}", dwell_s=n + 1)
    area = api.put("/area", json={"name": "Square", "geometry": SQUARE, "drivers": ["a*"]}).json()
    first = api.get("", params={"limit": 4}).json()
    assert [f["geofence_id"] for f in first["geofences"]] == ["area", "f-0", "f-1", "f-2"]
    assert first["geofences"][0] == area
    rest = api.get("", params={"limit": 4, "cursor": first["next_cursor"]}).json()
    assert (rest["count"], rest["next_cursor"]) == (2, None)
    page = api.get("", params={"limit": 5, "format": "geojson"})
    assert page.headers["content-type"] == "application/geo+json"
    following = page.links["next"]["url"]
    assert "cursor=f-3" in following
    collection = page.json()
    assert collection["features"][0]["geometry"] == SQUARE
    # The export is an import: nothing is other than before.
    before = api.get("").json()["geofences"]
    api.delete("/f-0")
    answer = api.post("/import", json=collection)
    assert answer.json() == {"imported": 5, "created": 1, "changed": 4}
    odd = {"created_at", "updated_at", "version"}
    after = api.get("").json()["geofences"]
    assert [{k: v for k, v in f.items() if k not in odd} for f in after] == [
        {k: v for k, v in f.items() if k not in odd} for f in before
    ]
    for query in ("limit=0", "limit=1001", "cursor=a%20b", "format=kml"):
        assert api.get(f"?{query}").status_code == 422


COLLECTION: dict[str, Any] = {"type": "FeatureCollection", "features": []}


def feature(geofence_id: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "id": geofence_id, "geometry": POINT,
        "properties": {"radius_m": 50, **properties},
    }  # fmt: skip


def test_an_import_is_all_or_nothing_and_names_the_feature(api: httpx.Client) -> None:
    def send(*features: Any, kind: str = "application/geo+json") -> httpx.Response:
        body = dict(COLLECTION, features=features)
        return api.post("/import", json=body, headers={"content-type": kind})

    mixed = send(
        feature("a"), feature("b", radius_m=-1), feature("a"), feature("import"), {"type": "x"}
    )
    assert mixed.status_code == 422
    assert [e["field"] for e in mixed.json()["errors"]] == [
        "features[1].properties.radius_m", "features[2].id", "features[3].id", "features[4].type",
    ]  # fmt: skip
    assert "features[0]" in mixed.json()["errors"][1]["detail"]
    assert api.get("").json()["count"] == 0
    good = send(feature("a", name="Alpha"), feature(7), kind="application/json")
    assert good.json() == {"imported": 2, "created": 2, "changed": 0}
    assert [f["name"] for f in api.get("").json()["geofences"]] == ["7", "Alpha"]
    assert send().status_code == 422
    assert send(feature("a"), kind="text/plain").status_code == 415
    # What broke: what is no collection was refused in the words of a library, without a field.
    for body, fields in (
        ({"type": "Feature", "features": []}, ["type"]),
        ({"type": "FeatureCollection"}, ["features"]),
        ({"type": "FeatureCollection", "features": {}}, ["features"]),
        ({}, ["type", "features"]),
        ([], ["body"]),
    ):
        answer = api.post("/import", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == fields
    # A polygon of so many vertices is judged in a thread, where it holds up no fix.
    ring = [[n / 1000, (n % 2) / 10] for n in range(900)]
    ring = [*ring, [0.9, 5], [0, 5], ring[0]]
    wide = {**feature("wide"), "geometry": {"type": "Polygon", "coordinates": [ring]}}
    wide["properties"] = {}
    assert send(wide).json()["created"] == 1


def test_there_may_be_so_many(api: httpx.Client, database: str) -> None:
    (sums,) = sql(database, "SELECT fences, vertices FROM geofence_changes")
    assert tuple(sums) == (0, 0)
    put(api, "one")
    put(api, "one", geometry=SQUARE, radius_m=None)
    (sums,) = sql(database, "SELECT fences, vertices FROM geofence_changes")
    assert tuple(sums) == (1, 5)
    for column, limit in (("fences", FENCES_MAX), ("vertices", VERTICES_SUM_MAX)):
        sql(database, f"UPDATE geofence_changes SET {column} = {limit}")
        answer = put(api, "two")
        assert (answer.status_code, "delete some first" in answer.text) == (422, True)
        assert put(api, "one").status_code == 200
        put(api, "one", geometry=SQUARE, radius_m=None)
        # Beside the API it is the table that refuses: the limits are the same.
        with pytest.raises(asyncpg.CheckViolationError):
            sql(database, f"UPDATE geofence_changes SET {column} = {limit + 1}")
        sql(database, "UPDATE geofence_changes SET fences = 1, vertices = 5")
    assert put(api, "two").status_code == 201
    api.delete("/one")
    (sums,) = sql(database, "SELECT fences, vertices FROM geofence_changes")
    assert tuple(sums) == (1, 1)


def test_writers_at_the_same_time_do_not_wait_for_each_other(
    api: httpx.Client, database: str
) -> None:
    """Two that held what the other wanted would be a deadlock, which one of them pays for."""
    names = [f"f{n}" for n in range(4)]

    def write(n: int) -> int:
        name = names[n % 4]
        if n % 3 == 0:
            return api.delete(f"/{name}").status_code
        if n % 3 == 1:
            return put(api, name, dwell_s=n).status_code
        features = [feature(name) for name in (names if n % 2 else names[::-1])]
        return api.post("/import", json=dict(COLLECTION, features=features)).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(60))) <= {200, 201, 204, 404}
    (sums,) = sql(database, "SELECT fences, vertices FROM geofence_changes")
    left = api.get("").json()["count"]
    assert tuple(sums) == (left, left)


def test_who_is_inside(api: httpx.Client, database: str) -> None:
    put(api, "depot")
    assert api.get("/depot/drivers").json() == {
        "geofence_id": "depot", "count": 0, "drivers": [], "next_cursor": None,
    }  # fmt: skip
    entered = datetime.now(UTC) - timedelta(seconds=100)
    sql(
        database,
        "INSERT INTO fence_visits VALUES "
        + ", ".join(
            f"('d{n}', '{fence}', '{entered}', '{entered}', {n == 1}, 0)"
            for n in range(3)
            for fence in ("depot", "other")
        ),
    )
    first = api.get("/depot/drivers", params={"limit": 2})
    (driver, dwelt) = first.json()["drivers"]
    assert (driver["driver_id"], driver["dwelt"], dwelt["dwelt"]) == ("d0", False, True)
    assert 100 <= driver["duration_s"] < 200
    rest = api.get("/depot/drivers", params={"cursor": first.json()["next_cursor"]}).json()
    assert [d["driver_id"] for d in rest["drivers"]] == ["d2"]
    assert "cursor=d1" in first.links["next"]["url"]
    # Of a fence that there is no more: its visits are about to end.
    assert api.get("/other/drivers").status_code == 404


def test_answers_are_as_described(api: httpx.Client, database: str) -> None:
    document = api.get(str(api.base_url).replace("/api/v1/geofences", "/openapi.json")).json()
    put(api, "depot", dwell_s=5, drivers=["a*"], schedule={"from": "08:00"})
    sql(database, "INSERT INTO fence_visits VALUES ('d', 'depot', now(), now(), false, 0)")
    collection = api.get("?format=geojson").json()
    for method, path, body in (
        ("get", "", None), ("get", "?format=geojson", None), ("get", "/{geofence_id}", None),
        ("put", "/{geofence_id}", CIRCLE), ("get", "/{geofence_id}/drivers", None),
        ("post", "/import", collection),
    ):  # fmt: skip
        answer = api.request(method, path.format(geofence_id="depot"), json=body)
        template = f"/api/v1/geofences{path.partition('?')[0]}"
        described = document["paths"][template][method]["responses"][str(answer.status_code)]
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = {**described["content"][media_type]["schema"], **document}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
