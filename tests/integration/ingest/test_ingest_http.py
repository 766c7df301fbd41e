"""Each endpoint as clients know it, against the real server."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.event import LocationUpdate, decode_event, encode_event
from common.keys import order_ended_key, order_key, shard_keys, shard_of
from common.redis.client import new_async_client
from common.stream.pack import count_events, split_pack
from tests.clients.listening import listening
from tests.servers.redis_cluster import AnyRedis

SHARDS = 4
FIX = {"latitude": 40.7128, "longitude": -74.006}


def keys_of(driver_id: str) -> Any:
    return shard_keys("driver-locations", shard_of(driver_id, SHARDS), SHARDS)


def entries(store: Any, driver_id: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: list[tuple[bytes, dict[bytes, bytes]]] = store.xrange(keys_of(driver_id).stream)
    return found


def total(store: Any) -> int:
    streams = (shard_keys("driver-locations", shard, SHARDS).stream for shard in range(SHARDS))
    return sum(count_events(fields[b"e"]) for s in streams for _, fields in store.xrange(s))


def event(driver_id: str, *, age_s: float = 0.0, order_id: str | None = None) -> bytes:
    now = datetime.now(UTC) - timedelta(seconds=age_s)
    update = LocationUpdate(latitude=1.0, longitude=2.0, order_id=order_id)
    return encode_event(driver_id, update, now, now)


def put_live(store: Any, driver_id: str, *, age_s: float = 0.0) -> bytes:
    value = event(driver_id, age_s=age_s)
    store.hset(keys_of(driver_id).live, driver_id, value)
    return value


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    found: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(found)
    assert found["status"] == status
    assert "Traceback" not in answer.text
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1
    return found


@pytest.mark.cluster_too
def test_an_accepted_fix_is_in_its_stream(api: httpx.Client, store: Any) -> None:
    body = {
        **FIX, "speed": 45.5, "heading": 360, "accuracy": 10.0, "order_id": "order_123",
        "recorded_at": datetime.now(UTC).isoformat(), "unknown": "ignored",
    }  # fmt: skip
    answer = api.post("/api/v1/drivers/driver-1/location", json=body)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    [(entry_id, fields)] = entries(store, "driver-1")
    stored = json.loads(fields[b"e"])
    assert answer.json() == {
        "status": "accepted",
        "message_id": f"{shard_of('driver-1', SHARDS)}-{entry_id.decode()}",
        "recorded_at": stored["recorded_at"],
    }
    assert stored["driver_id"] == "driver-1"
    assert stored["heading"] == 0
    assert stored["order_id"] == "order_123"
    assert stored["recorded_at"].endswith("Z")


def test_a_fix_without_a_time_gets_the_servers(api: httpx.Client, store: Any) -> None:
    before = datetime.now(UTC)
    assert api.post("/api/v1/drivers/d/location", json=FIX).status_code == 202
    [(_, fields)] = entries(store, "d")
    stored = decode_event(fields[b"e"])
    assert before <= stored.recorded_at == stored.received_at <= datetime.now(UTC)


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "whole seconds"])
def test_epoch_seconds_and_milliseconds_are_times(api: httpx.Client, store: Any, form: str) -> None:
    now = time.time()
    stamp = {"seconds": now, "milliseconds": now * 1000, "whole seconds": int(now)}[form]
    assert (
        api.post("/api/v1/drivers/d/location", json={**FIX, "recorded_at": stamp}).status_code
        == 202
    )
    [(_, fields)] = entries(store, "d")
    age = datetime.now(UTC) - decode_event(fields[b"e"]).recorded_at
    assert abs(age) < timedelta(minutes=5)


def test_all_fields_at_fault_are_named(api: httpx.Client, store: Any) -> None:
    body = {"latitude": 91, "speed": -1, "heading": 361, "order_id": "a b", "recorded_at": "soon"}
    answer = api.post("/api/v1/drivers/d/location", json=body)
    named = {e["field"] for e in assert_problem(answer, 422)["errors"]}
    assert named == {"latitude", "longitude", "speed", "heading", "order_id", "recorded_at"}
    assert total(store) == 0


@pytest.mark.parametrize("days", [-31, 2])
def test_times_out_of_range_are_refused(api: httpx.Client, store: Any, days: int) -> None:
    stamp = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    answer = api.post("/api/v1/drivers/d/location", json={**FIX, "recorded_at": stamp})
    assert assert_problem(answer, 422)["errors"][0]["field"] == "recorded_at"
    assert total(store) == 0


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON", 202),
        (None, 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_content_types(
    api: httpx.Client, store: Any, content_type: str | None, status: int
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    content = json.dumps(FIX).encode()
    answer = api.post("/api/v1/drivers/d/location", content=content, headers=headers)
    assert answer.status_code == status
    assert total(store) == (status == 202)


@pytest.mark.cluster_too
def test_a_batch_stores_the_good_and_explains_the_others(api: httpx.Client, store: Any) -> None:
    fixes = [{**FIX, "driver_id": f"d{i}"} for i in range(20)]
    fixes[17]["latitude"] = 100
    del fixes[3]["driver_id"]
    answer = api.post("/api/v1/drivers/locations", json={"locations": fixes})
    assert answer.status_code == 202
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (18, 2)
    assert [(e["index"], e["field"]) for e in found["errors"]] == [
        (3, "driver_id"),
        (17, "latitude"),
    ]
    assert total(store) == 18


def test_the_last_undated_fix_of_a_driver_in_a_batch_is_the_newest(
    api: httpx.Client, store: Any
) -> None:
    fixes = [{"driver_id": "d", "latitude": i, "longitude": 0} for i in range(10)]
    assert api.post("/api/v1/drivers/locations", json=fixes).json()["accepted"] == 10
    # One entry, or two where the body was read while others' writes left.
    packs = [fields[b"e"] for _, fields in entries(store, "d")]
    found = [decode_event(event) for pack in packs for event in split_pack(pack)]
    assert [e.latitude for e in found] == list(range(10))
    times = [e.recorded_at for e in found]
    assert times == sorted(set(times))


def test_a_batch_without_a_good_fix_is_refused(api: httpx.Client, store: Any) -> None:
    answer = api.post("/api/v1/drivers/locations", json=[{"driver_id": "d"}])
    assert assert_problem(answer, 422)["errors"][0]["index"] == 0
    assert_problem(api.post("/api/v1/drivers/locations", json=[]), 422)
    too_many = [{**FIX, "driver_id": "d"}] * 1001
    assert_problem(api.post("/api/v1/drivers/locations", json=too_many), 422)
    assert total(store) == 0


def test_bodies_over_the_limit_are_413(api: httpx.Client, store: Any) -> None:
    headers = {"content-type": "application/json"}
    for path, size in (("d/location", 16_385), ("locations", 1_048_577)):
        answer = api.post(f"/api/v1/drivers/{path}", content=b" " * size, headers=headers)
        assert_problem(answer, 413)
        chunks = iter([b" " * 1000] * (size // 1000 + 1))
        with httpx.Client(base_url=api.base_url) as client:
            answer = client.post(f"/api/v1/drivers/{path}", content=chunks, headers=headers)
        assert_problem(answer, 413)
    fits = json.dumps(FIX).encode().ljust(16_384)
    answer = api.post("/api/v1/drivers/d/location", content=fits, headers=headers)
    assert answer.status_code == 202


def test_a_current_position_is_the_event_as_it_came(api: httpx.Client, store: Any) -> None:
    value = put_live(store, "d")
    answer = api.get("/api/v1/drivers/d/location")
    assert (answer.status_code, answer.content) == (200, value)
    assert set(answer.json()) == {
        "driver_id", "latitude", "longitude", "speed", "heading", "accuracy", "order_id",
        "recorded_at", "received_at",
    }  # fmt: skip


def test_a_position_that_is_unknown_or_too_old_is_404(api: httpx.Client, store: Any) -> None:
    put_live(store, "old", age_s=301)
    put_live(store, "young", age_s=290)
    assert_problem(api.get("/api/v1/drivers/nobody/location"), 404)
    assert_problem(api.get("/api/v1/drivers/old/location"), 404)
    assert api.get("/api/v1/drivers/young/location").status_code == 200


@pytest.mark.cluster_too
def test_an_order_shows_its_drivers_newest_position(api: httpx.Client, store: Any) -> None:
    assert_problem(api.get("/api/v1/orders/o1/location"), 404)
    value = event("d", order_id="o1")
    store.set(order_key("o1"), value)
    answer = api.get("/api/v1/orders/o1/location")
    assert (answer.status_code, answer.content) == (200, value)


@pytest.mark.cluster_too
def test_completing_an_order_ends_its_tracking(
    api: httpx.Client, store: Any, redis_server: AnyRedis
) -> None:
    store.set(order_key("o1"), event("d", order_id="o1"))

    async def main() -> None:
        async with (
            new_async_client(redis_server.url, decode=False) as client,
            listening(client, order_key("o1")) as channel,
        ):
            for _ in range(2):
                answer = await asyncio.to_thread(api.post, "/api/v1/orders/o1/complete")
                assert answer.status_code == 202
                assert answer.json() == {"status": "accepted", "order_id": "o1"}
                frame = json.loads(await channel.message() or "null")
                assert frame == {"type": "tracking_ended", "data": {"order_id": "o1"}}

    asyncio.run(main())
    assert_problem(api.get("/api/v1/orders/o1/location"), 404)
    assert store.get(order_key("o1")) is None
    assert 0 < store.ttl(order_ended_key("o1")) <= 7 * 86_400


def test_an_ended_order_stays_hidden_when_a_worker_writes_late(
    api: httpx.Client, store: Any
) -> None:
    api.post("/api/v1/orders/o1/complete")
    store.set(order_key("o1"), event("d", order_id="o1"))
    assert_problem(api.get("/api/v1/orders/o1/location"), 404)


@pytest.mark.parametrize("bad", ["a b", "a%2Cb", "é", "a" * 65, "%00", "a;b", "{x}"])
def test_ids_in_paths_are_judged(api: httpx.Client, store: Any, bad: str) -> None:
    assert_problem(api.post(f"/api/v1/drivers/{bad}/location", json=FIX), 422)
    assert_problem(api.get(f"/api/v1/drivers/{bad}/location"), 422)
    assert_problem(api.get(f"/api/v1/drivers/{bad}/route"), 422)
    assert_problem(api.get(f"/api/v1/orders/{bad}/location"), 422)
    assert_problem(api.post(f"/api/v1/orders/{bad}/complete"), 422)
    assert total(store) == 0


def test_wrong_methods_say_which_are_right(api: httpx.Client) -> None:
    answer = api.delete("/api/v1/drivers/d/location")
    assert_problem(answer, 405)
    assert {"GET", "POST"} <= {m.strip() for m in answer.headers["allow"].split(",")}
    assert_problem(api.get("/api/v1/drivers/locations"), 405)
    assert_problem(api.post("/api/v1/drivers/nearby"), 405)
    assert_problem(api.put("/health"), 405)
    brewed = api.request("BREW", "/health")
    assert_problem(brewed, 405)
    assert "GET" in brewed.headers["allow"]
    assert_problem(api.request("BREW", "/brew"), 404)


def test_unknown_paths_are_404(api: httpx.Client) -> None:
    for path in ("/", "/api/v1", "/api/v1/drivers/a/b/c", "/x%2fy"):
        assert_problem(api.get(path), 404)


def test_head_and_options(api: httpx.Client, store: Any) -> None:
    value = put_live(store, "d")
    answer = api.head("/api/v1/drivers/d/location")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(value))
    answer = api.options("/api/v1/drivers/d/location")
    assert answer.status_code in (200, 204)
    assert "POST" in answer.headers["allow"]


def test_a_route_without_a_database_is_503(api: httpx.Client) -> None:
    assert_problem(api.get("/api/v1/drivers/d/route"), 503)
