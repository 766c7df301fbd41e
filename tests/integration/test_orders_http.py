"""Orders over HTTP, letter by letter: register, change, read, list, end, journey, statistics."""

import asyncio
import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.geo.sphere import distance_m
from tests.ingest_server import ingest
from tests.integration.insight_history import row, store
from tests.postgres import PostgresServer
from tests.servers import RedisServer
from tests.wait import wait_until

PICKUP = {"latitude": 53.40, "longitude": -2.90}
DROPOFF = {"latitude": 53.41, "longitude": -2.91}
JSON = {"content-type": "application/json"}
STATES = ("new", "assigned", "at_pickup", "picked_up", "arriving", "delivered", "cancelled")


@pytest.fixture(scope="module")
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def api(database: str, redis_session: RedisServer) -> Iterator[httpx.Client]:
    redis_session.command("FLUSHALL")
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=15) as client,
    ):
        wait_until(lambda: client.get(f"{server.url}/health").status_code == 200)
        yield client


def put(api: httpx.Client, order_id: str, **fields: object) -> httpx.Response:
    return api.put(f"orders/{order_id}", json=fields)


def test_an_order_is_new_once_and_changed_after(api: httpx.Client) -> None:
    answer = put(api, "a1")
    assert answer.status_code == 201
    order = answer.json()
    assert order["order_id"] == "a1"
    assert order["state"] == "new"
    assert list(order["times"]) == list(STATES)
    assert order["times"]["new"].endswith("Z")
    absent = ("driver_id", "vehicle", "pickup", "dropoff", "ready_at", "promised_at")
    assert all(order[name] is None for name in (*absent, "position", "arrival", "distance_m"))
    full = {
        "driver_id": "d1", "vehicle": "bicycle", "pickup": PICKUP, "dropoff": DROPOFF,
        "ready_at": "2026-03-01T12:00:00+01:00", "promised_at": "2026-03-01T11:30:00Z",
    }  # fmt: skip
    answer = put(api, "a1", **full)
    assert answer.status_code == 200
    order = answer.json()
    assert {**full, "ready_at": "2026-03-01T11:00:00Z"}.items() <= order.items()
    assert order["state"] == "assigned"
    assert order["times"]["assigned"] is not None
    assert api.get("orders/a1").json() == order


def test_what_is_not_named_stays_and_null_removes_it(api: httpx.Client) -> None:
    put(api, "a2", driver_id="d1", pickup=PICKUP, vehicle="car")
    assert put(api, "a2", pickup=None).json()["pickup"] is None
    order = put(api, "a2", driver_id=None, unknown="is ignored").json()
    # No state goes back.
    assert (order["driver_id"], order["vehicle"], order["state"]) == (None, "car", "assigned")
    same = put(api, "a2", vehicle="car")
    assert (same.status_code, same.json()["updated_at"]) == (200, order["updated_at"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"driver_id": "a b", "vehicle": "boat", "pickup": {"latitude": 91}},
         ["driver_id", "vehicle", "pickup.latitude", "pickup.longitude"]),
        ({"dropoff": [1, 2], "ready_at": "noon", "promised_at": "0001-01-01T00:00:00Z"},
         ["dropoff", "ready_at", "promised_at"]),
        ({"promised_at": "2026-03-01T11:30:00"}, ["promised_at"]),
        ({"driver_id": ""}, ["driver_id"]),
    ],
)  # fmt: skip
def test_all_fields_at_fault_are_named(
    api: httpx.Client, body: dict[str, Any], fields: list[str]
) -> None:
    answer = api.put("orders/bad", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert api.get("orders/bad").status_code == 404


def test_what_is_no_order_is_refused(api: httpx.Client) -> None:
    for content, status in ((b"{", 400), (b"[]", 422), (b" " * 20_000, 413)):
        assert api.put("orders/bad", content=content, headers=JSON).status_code == status
    assert api.put("orders/a%20b", json={}).status_code == 422
    assert api.put("orders/bad", content=b"{}", headers={"content-type": "a/b"}).status_code == 415
    for path in ("orders/bad", "orders/bad/journey"):
        assert api.get(path).json()["type"] == "/problems/no-order"


def state(api: httpx.Client, order_id: str, wanted: object) -> httpx.Response:
    return api.post(f"orders/{order_id}/state", json={"state": wanted})


def test_states_go_on_and_never_back(api: httpx.Client) -> None:
    put(api, "s1", driver_id="d1")
    order = state(api, "s1", "picked_up").json()
    assert (order["state"], order["times"]["at_pickup"]) == ("picked_up", None)
    assert state(api, "s1", "picked_up").status_code == 200
    back = state(api, "s1", "assigned")
    assert (back.status_code, back.json()["type"]) == (409, "/problems/state-passed")
    assert state(api, "s1", "cancelled").json()["state"] == "cancelled"
    for wanted in ("delivered", "new"):
        over = state(api, "s1", wanted)
        assert (over.status_code, over.json()["type"]) == (409, "/problems/order-over")
    assert put(api, "s1", vehicle="foot").json()["type"] == "/problems/order-over"
    # The same again is no change.
    assert put(api, "s1", driver_id="d1").status_code == 200
    assert state(api, "nobody-s", "arriving").status_code == 404
    for wrong in ("flying", 7, None):
        answer = state(api, "s1", wrong)
        assert [error["field"] for error in answer.json()["errors"]] == ["state"]
    assert api.post("orders/s1/state", content=b"{", headers=JSON).status_code == 400


def test_complete_is_delivered(api: httpx.Client) -> None:
    put(api, "c1", driver_id="d1")
    for _ in range(2):
        answer = api.post("orders/c1/complete")
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    order = api.get("orders/c1").json()
    assert order["state"] == "delivered"
    # Nobody can watch it any more; an order that was never registered ends likewise.
    assert api.get("orders/c1/location").json()["type"] == "/problems/tracking-ended"
    assert api.post("orders/c2/complete").status_code == 202
    assert api.get("orders/c2").status_code == 404
    assert put(api, "c2").json()["type"] == "/problems/order-over"


def test_of_many_at_once_one_is_first(api: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: put(api, "r1", driver_id=f"d{n}"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert api.get("orders/r1").json() in [answer.json() for answer in answers]


def test_the_list_is_filtered_and_paged(api: httpx.Client) -> None:
    for n in range(5):
        put(api, f"l{n}", driver_id="lister")
    state(api, "l3", "arriving")
    body = api.get("orders", params={"driver_id": "lister"}).json()
    assert [order["order_id"] for order in body["orders"]] == [f"l{n}" for n in range(4, -1, -1)]
    assert (body["count"], body["next_cursor"]) == (5, None)
    found = api.get("orders", params={"driver_id": "lister", "state": "arriving"}).json()
    assert [order["order_id"] for order in found["orders"]] == ["l3"]
    path, seen = "/api/v1/orders?driver_id=lister&limit=2", []
    while path:
        answer = api.get(httpx.URL(str(api.base_url)).join(path))
        seen += [order["order_id"] for order in answer.json()["orders"]]
        path = answer.links.get("next", {}).get("url", "")
    assert seen == [f"l{n}" for n in range(4, -1, -1)]
    wrong: dict[str, Any] = {"driver_id": "a b", "state": "gone", "limit": 0, "cursor": "x"}
    answer = api.get("orders", params=wrong)
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)


def test_events_tell_each_change_once(api: httpx.Client, database: str) -> None:
    put(api, "e1", driver_id="d1")
    put(api, "e1", driver_id="d2")
    put(api, "e1", driver_id="d1")
    state(api, "e1", "at_pickup")
    api.post("orders/e1/complete")
    api.post("orders/e1/complete")

    async def read() -> list[Any]:
        connection = await asyncpg.connect(database)
        try:
            sql = "SELECT type, driver_id FROM events WHERE order_id = 'e1' ORDER BY seq"
            return [tuple(found) for found in await connection.fetch(sql)]
        finally:
            await connection.close()

    assigned = [("order.assigned", driver) for driver in ("d1", "d2", "d1")]
    told = [*assigned, ("order.at_pickup", "d1"), ("order.delivered", "d1")]
    assert asyncio.run(read()) == told


def fixes(driver_id: str, begin: datetime, order_id: str | None) -> list[Any]:
    """Two minutes due north at 36 km/h, a fix a second."""
    return [
        row(driver_id, begin + timedelta(seconds=n), 53.4 + n * 0.00009, -2.9, order_id=order_id)
        for n in range(120)
    ]


@pytest.mark.parametrize("named", [True, False])
def test_a_journey_is_the_way_of_its_driver(api: httpx.Client, database: str, named: bool) -> None:
    """Fixes that name the order; all of the driver's where its phone names none."""
    order_id, driver_id = f"j-{named}", f"jd-{named}"
    begin = datetime.now(UTC).replace(microsecond=0)
    put(api, order_id, driver_id=driver_id, promised_at=(begin + timedelta(hours=1)).isoformat())
    # As if it had been registered before the drive.
    before = begin - timedelta(minutes=10)

    async def drive() -> None:
        connection = await asyncpg.connect(database)
        for table in ("orders SET new_at = $1, assigned_at", "order_drivers SET since"):
            sql = f"UPDATE {table} = $1 WHERE order_id = $2"
            await connection.execute(sql, before, order_id)
        known = order_id if named else None
        rows = fixes(driver_id, begin - timedelta(minutes=5), known)
        # Another's, and the driver's own for somebody else, are not part of it.
        rows += fixes("other", begin - timedelta(minutes=5), order_id)
        if named:
            rows += fixes(driver_id, begin - timedelta(minutes=9), "another-order")
        await store(connection, rows, marked=False)
        await connection.close()

    asyncio.run(drive())
    api.post(f"orders/{order_id}/complete")
    journey = api.get(f"orders/{order_id}/journey").json()
    assert (journey["state"], journey["fixes"]) == ("delivered", 120)
    whole = distance_m(53.4, -2.9, 53.4 + 119 * 0.00009, -2.9)
    # What is left of it at the end is below the dead band.
    assert whole - 10 <= journey["distance_m"] <= whole
    assert journey["late_s"] < 0
    assert journey["delivered_at"] == journey["times"]["delivered"]
    line = journey["route"]
    assert (line["type"], line["geometry"]["type"]) == ("Feature", "LineString")
    assert len(line["properties"]["coordTimes"]) == len(line["geometry"]["coordinates"]) >= 2
    assert [driver["driver_id"] for driver in journey["drivers"]] == [driver_id]


def test_deliveries_are_counted(api: httpx.Client, database: str) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)

    async def fill() -> None:
        connection = await asyncpg.connect(database)
        sql = (
            "INSERT INTO orders (order_id, bucket, driver_id, state, new_at, picked_up_at,"
            " delivered_at, cancelled_at, promised_at, updated_at, version, told)"
            " VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $4, 1, true)"
        )
        for n in range(10):
            picked, done = day + timedelta(hours=n % 2), day + timedelta(hours=n % 2, minutes=n + 1)
            gone = None if n else done
            values = (picked, None if gone else done, gone, day + timedelta(minutes=n % 2 * 65 + 5))
            name = "cancelled" if gone else "delivered"
            await connection.execute(sql, f"del{n}", f"dd{n % 3}", name, day, *values)
        await connection.close()

    asyncio.run(fill())
    span = {"start_time": day.isoformat(), "end_time": (day + timedelta(days=1)).isoformat()}
    body = api.get("fleet/deliveries", params=span).json()
    total = body["total"]
    assert (total["delivered"], total["cancelled"], total["promised"]) == (9, 1, 9)
    assert (total["under_way_p50_s"], total["under_way_max_s"]) == (360, 600)
    # Due after 5 minutes: 2 and 4 in the first hour; after 10: 1, 3, 5, 7 and 9 in the second.
    assert (total["on_time"], total["on_time_share"]) == (7, round(7 / 9, 4))
    assert "deliveries" not in body
    hours = api.get("fleet/deliveries", params={**span, "group": "hour"}).json()
    assert [row["start_time"][11:16] for row in hours["deliveries"]] == ["00:00", "01:00"]
    assert [row["delivered"] for row in hours["deliveries"]] == [4, 5]
    path: dict[str, Any] = {**span, "group": "driver", "limit": 2}
    first = api.get("fleet/deliveries", params=path)
    assert [row["driver_id"] for row in first.json()["deliveries"]] == ["dd0", "dd1"]
    assert first.json()["total"] == total
    rest = api.get(httpx.URL(str(api.base_url)).join(first.links["next"]["url"])).json()
    assert [row["driver_id"] for row in rest["deliveries"]] == ["dd2"]
    assert rest["next_cursor"] is None
    table = api.get("fleet/deliveries", params={**span, "group": "driver", "format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["driver_id"] for row in rows] == ["dd0", "dd1", "dd2"]
    none = api.get("fleet/deliveries", params={**span, "format": "csv"}).text.splitlines()
    assert (len(none), none[1].split(",")[0]) == (2, "9")
    nothing = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z"}
    assert api.get("fleet/deliveries", params=nothing).json()["total"]["on_time_share"] is None
    wrong = {"group": "week", "format": "xml", "limit": "0", "cursor": "a b"}
    answer = api.get("fleet/deliveries", params=wrong)
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)
