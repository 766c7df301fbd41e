"""Orders over HTTP, letter by letter: register, change, read, list, end, journey, statistics."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import shard_keys, shard_of
from common.redis.client import new_client
from tests.roles.orders import put_order as put
from tests.servers.redis_cluster import AnyRedis

PICKUP = {"latitude": 53.40, "longitude": -2.90}
DROPOFF = {"latitude": 53.41, "longitude": -2.91}
JSON = {"content-type": "application/json"}
STATES = ("new", "assigned", "at_pickup", "picked_up", "arriving", "delivered", "cancelled")


def test_an_order_is_new_once_and_changed_after(orders_api: httpx.Client) -> None:
    answer = put(orders_api, "a1")
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
    answer = put(orders_api, "a1", **full)
    assert answer.status_code == 200
    order = answer.json()
    assert {**full, "ready_at": "2026-03-01T11:00:00Z"}.items() <= order.items()
    assert order["state"] == "assigned"
    assert order["times"]["assigned"] is not None
    assert orders_api.get("orders/a1").json() == order


def test_what_is_not_named_stays_and_null_removes_it(orders_api: httpx.Client) -> None:
    put(orders_api, "a2", driver_id="d1", pickup=PICKUP, vehicle="car")
    assert put(orders_api, "a2", pickup=None).json()["pickup"] is None
    order = put(orders_api, "a2", driver_id=None, unknown="is ignored").json()
    # No state goes back.
    assert (order["driver_id"], order["vehicle"], order["state"]) == (None, "car", "assigned")
    same = put(orders_api, "a2", vehicle="car")
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
        ({"drop_of": {}, "dropoff": {"latitude": 1, "lonigtude": 2}},
         ["dropoff.longitude", "dropoff.lonigtude", "drop_of"]),
    ],
)  # fmt: skip
def test_all_fields_at_fault_are_named(
    orders_api: httpx.Client, body: dict[str, Any], fields: list[str]
) -> None:
    answer = orders_api.put("orders/bad", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert orders_api.get("orders/bad").status_code == 404


def test_what_is_no_order_is_refused(orders_api: httpx.Client) -> None:
    for content, status in ((b"{", 400), (b"[]", 422), (b" " * 20_000, 413)):
        assert orders_api.put("orders/bad", content=content, headers=JSON).status_code == status
    assert orders_api.put("orders/a%20b", json={}).status_code == 422
    assert (
        orders_api.put("orders/bad", content=b"{}", headers={"content-type": "a/b"}).status_code
        == 415
    )
    for path in ("orders/bad", "orders/bad/journey"):
        assert orders_api.get(path).json()["type"] == "/problems/no-order"


def state(orders_api: httpx.Client, order_id: str, wanted: object) -> httpx.Response:
    return orders_api.post(f"orders/{order_id}/state", json={"state": wanted})


def test_states_go_on_and_never_back(orders_api: httpx.Client) -> None:
    put(orders_api, "s1", driver_id="d1")
    order = state(orders_api, "s1", "picked_up").json()
    assert (order["state"], order["times"]["at_pickup"]) == ("picked_up", None)
    assert state(orders_api, "s1", "picked_up").status_code == 200
    back = state(orders_api, "s1", "assigned")
    assert (back.status_code, back.json()["type"]) == (409, "/problems/state-passed")
    assert state(orders_api, "s1", "cancelled").json()["state"] == "cancelled"
    for wanted in ("delivered", "new"):
        over = state(orders_api, "s1", wanted)
        assert (over.status_code, over.json()["type"]) == (409, "/problems/order-over")
    assert put(orders_api, "s1", vehicle="foot").json()["type"] == "/problems/order-over"
    # The same again is no change.
    assert put(orders_api, "s1", driver_id="d1").status_code == 200
    assert state(orders_api, "nobody-s", "arriving").status_code == 404
    for wrong in ("flying", 7, None):
        answer = state(orders_api, "s1", wrong)
        assert [error["field"] for error in answer.json()["errors"]] == ["state"]
    assert orders_api.post("orders/s1/state", content=b"{", headers=JSON).status_code == 400


def test_complete_is_delivered(orders_api: httpx.Client) -> None:
    put(orders_api, "c1", driver_id="d1")
    for _ in range(2):
        answer = orders_api.post("orders/c1/complete")
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    order = orders_api.get("orders/c1").json()
    assert order["state"] == "delivered"
    # Nobody can watch it any more; an order that was never registered ends likewise.
    assert orders_api.get("orders/c1/location").json()["type"] == "/problems/tracking-ended"
    assert orders_api.post("orders/c2/complete").status_code == 202
    assert orders_api.get("orders/c2").status_code == 404
    assert put(orders_api, "c2").json()["type"] == "/problems/order-over"


def test_watchers_begin_with_what_its_driver_said_last(
    orders_api: httpx.Client, redis_session: AnyRedis
) -> None:
    """If that names the order; what another driver said of it is dropped."""
    with new_client(redis_session.url, decode=False) as client:
        events = {}
        for driver_id, order_id in (("w1", "w"), ("w2", "w"), ("w3", "another")):
            now = datetime.now(UTC)
            update = LocationUpdate(latitude=1.0, longitude=2.0, order_id=order_id)
            events[driver_id] = encode_event(driver_id, update, now, now)
            live = shard_keys("driver-locations", shard_of(driver_id, 4), 4).live
            client.hset(live, driver_id, events[driver_id])
        for driver_id in ("w1", "w2"):
            order = put(orders_api, "w", driver_id=driver_id).json()
            answer = orders_api.get("orders/w/location")
            assert answer.content == events[driver_id]
            assert orders_api.get("orders/w").json() == {**order, "position": answer.json()}
        put(orders_api, "w", driver_id="w3")
        assert orders_api.get("orders/w/location").json()["type"] == "/problems/no-position"
        # Somebody's hand.
        client.hset(live, "w3", "no event")
        assert put(orders_api, "w", driver_id="w3", vehicle="car").status_code == 200


def test_of_many_at_once_one_is_first(orders_api: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: put(orders_api, "r1", driver_id=f"d{n}"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert orders_api.get("orders/r1").json() in [answer.json() for answer in answers]


def test_the_list_is_filtered_and_paged(orders_api: httpx.Client) -> None:
    for n in range(5):
        put(orders_api, f"l{n}", driver_id="lister")
    state(orders_api, "l3", "arriving")
    body = orders_api.get("orders", params={"driver_id": "lister"}).json()
    assert [order["order_id"] for order in body["orders"]] == [f"l{n}" for n in range(4, -1, -1)]
    assert (body["count"], body["next_cursor"]) == (5, None)
    found = orders_api.get("orders", params={"driver_id": "lister", "state": "arriving"}).json()
    assert [order["order_id"] for order in found["orders"]] == ["l3"]
    path, seen = "/api/v1/orders?driver_id=lister&limit=2", []
    while path:
        answer = orders_api.get(httpx.URL(str(orders_api.base_url)).join(path))
        seen += [order["order_id"] for order in answer.json()["orders"]]
        path = answer.links.get("next", {}).get("url", "")
    assert seen == [f"l{n}" for n in range(4, -1, -1)]
    wrong: dict[str, Any] = {"driver_id": "a b", "state": "gone", "limit": 0, "cursor": "x"}
    answer = orders_api.get("orders", params=wrong)
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)


def test_events_tell_each_change_once(orders_api: httpx.Client, orders_database: str) -> None:
    put(orders_api, "e1", driver_id="d1")
    put(orders_api, "e1", driver_id="d2")
    put(orders_api, "e1", driver_id="d1")
    state(orders_api, "e1", "at_pickup")
    orders_api.post("orders/e1/complete")
    orders_api.post("orders/e1/complete")

    async def read() -> list[Any]:
        connection = await asyncpg.connect(orders_database)
        try:
            sql = "SELECT type, driver_id FROM events WHERE order_id = 'e1' ORDER BY seq"
            return [tuple(found) for found in await connection.fetch(sql)]
        finally:
            await connection.close()

    assigned = [("order.assigned", driver) for driver in ("d1", "d2", "d1")]
    told = [*assigned, ("order.at_pickup", "d1"), ("order.delivered", "d1")]
    assert asyncio.run(read()) == told
