"""Ingest while the number of shards changes: positions lie in both layouts, and are found there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import META
from common.redis.client import new_client
from common.shards import Shards
from common.stream.backlog import ADDED
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import ingest
from tests.wait import wait_until

STREAM = "driver-locations"
OLD = Shards(STREAM, 3)
NEW = Shards(STREAM, 4, 2)
OSLO = (59.91, 10.75)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One of its own: what others start on it would follow the change."""
    with valkey() as running:
        yield running


@pytest.fixture(scope="module")
def store(server: RedisServer) -> Iterator[Any]:
    with new_client(server.url, decode=False) as client:
        yield client


@pytest.fixture(scope="module")
def api(server: RedisServer) -> Iterator[httpx.Client]:
    with (
        ingest(REDIS_URL=server.url, SHARDS="3") as running,
        httpx.Client(base_url=running.url, timeout=10) as client,
    ):
        yield client


@pytest.fixture
def changing(store: Any, api: httpx.Client) -> Any:
    """The new shards are written, and the old ones left."""
    layouts = {"shards": 4, "epoch": 2, "old_shards": 3, "old_epoch": 1, "old_since": 1}
    store.hset(META, mapping=layouts)
    wait_until(lambda: "leaving_shards" in api.get("/health").json(), what="the change is seen")
    yield store
    for shard in (*OLD, *NEW):
        store.delete(shard.keys.live, shard.keys.geo, shard.keys.stream, shard.keys.counts)


def put(store: Any, shards: Shards, driver_id: str, metres: float, age_s: float = 0.0) -> None:
    """A position so far north of Oslo."""
    latitude, when = OSLO[0] + metres / 111_195, datetime.now(UTC) - timedelta(seconds=age_s)
    update = LocationUpdate(latitude=latitude, longitude=OSLO[1])
    keys = shards.of(driver_id).keys
    store.hset(keys.live, driver_id, encode_event(driver_id, update, when, when))
    store.geoadd(keys.geo, (OSLO[1], latitude, driver_id))


def test_a_driver_is_where_it_moved_to_or_still_where_it_was(
    changing: Any, api: httpx.Client
) -> None:
    put(changing, OLD, "moved", 10, age_s=20)
    put(changing, NEW, "moved", 500)
    put(changing, OLD, "parked", 100)
    put(changing, NEW, "came", 200)
    put(changing, OLD, "gone", 50, age_s=5_000)
    # Both say the same of it, as a retry leaves it.
    put(changing, OLD, "twice", 300)
    put(changing, NEW, "twice", 300)

    def latitude(driver: str) -> float | None:
        answer = api.get(f"/api/v1/drivers/{driver}/location")
        return answer.json()["latitude"] if answer.status_code == 200 else None

    assert latitude("moved") == pytest.approx(OSLO[0] + 500 / 111_195)
    assert latitude("parked") == pytest.approx(OSLO[0] + 100 / 111_195)
    assert latitude("gone") is None
    found = api.get(
        "/api/v1/drivers/nearby", params={"lat": OSLO[0], "lng": OSLO[1], "radius": 1000}
    ).json()
    drivers = [driver["driver_id"] for driver in found["drivers"]]
    assert drivers == ["parked", "came", "twice", "moved"]
    assert "missing_shards" not in found
    # A limit that is smaller than what has moved away.
    for n in range(60):
        put(changing, OLD, f"left-{n}", 1 + n / 10, age_s=10)
        put(changing, NEW, f"left-{n}", 5_000)
    nearest = api.get(
        "/api/v1/drivers/nearby",
        params={"lat": OSLO[0], "lng": OSLO[1], "radius": 1000, "limit": 2},
    ).json()
    assert [driver["driver_id"] for driver in nearest["drivers"]] == ["parked", "came"]


def test_ways_begin_where_a_driver_is_who_has_not_moved(changing: Any, api: httpx.Client) -> None:
    """What broke: routes knew only drivers who had sent since the change."""
    put(changing, OLD, "parked", 0)
    put(changing, NEW, "came", 1_000)
    asked = {"points": [{"driver_id": "parked"}, {"driver_id": "came"}]}
    answer = api.post("/api/v1/route", json=asked)
    assert answer.status_code == 200, answer.text
    assert 900 < answer.json()["properties"]["distance_m"] < 2_500


def test_health_counts_what_waits_in_the_shards_that_are_left(
    changing: Any, api: httpx.Client
) -> None:
    def health() -> dict[str, Any]:
        found: dict[str, Any] = api.get("/health").json()
        return found

    old = OLD[1].keys
    changing.xadd(old.stream, {"e": b"x"})
    changing.hincrby(old.counts, ADDED, 1)
    wait_until(lambda: health()["backlog"] == 1, what="what waits is counted")
    found = health()
    assert [shard["shard"] for shard in found["shards"]] == [0, 1, 2, 3]
    assert [shard["backlog"] for shard in found["leaving_shards"]] == [0, 1, 0]
    assert (found["status"], found["missing_shards"]) == ("degraded", [])
    accepted = api.post("/api/v1/drivers/d1/location", json={"latitude": 1, "longitude": 2})
    assert accepted.status_code == 202
    assert changing.xlen(NEW.of("d1").keys.stream) == 1


def test_what_is_coming_is_read_and_not_written(store: Any, api: httpx.Client) -> None:
    """Another ingest may have heard of the switch before this one does."""
    store.hdel(META, "old_shards", "old_epoch", "old_since")
    store.hset(META, mapping={"next_shards": 5, "next_epoch": 3})
    coming = Shards(STREAM, 5, 3)
    put(store, NEW, "here", 0)
    put(store, coming, "here", 400)
    put(store, NEW, "stays", 200)

    def latitude() -> float:
        found: float = api.get("/api/v1/drivers/here/location").json()["latitude"]
        return found

    wait_until(lambda: latitude() > OSLO[0], what="the newest is shown")
    assert api.post("/api/v1/drivers/d1/location", json={"latitude": 1, "longitude": 2}).is_success
    assert store.xlen(coming.of("d1").keys.stream) == 0
    # Neither is anybody nearest who has moved on, nor does a way begin where nobody is any more.
    near = {"lat": OSLO[0], "lng": OSLO[1], "radius": 300}
    found = api.get("/api/v1/drivers/nearby", params=near).json()["drivers"]
    assert [driver["driver_id"] for driver in found] == ["stays"]
    found = api.get("/api/v1/drivers/nearby", params=near | {"radius": 1000}).json()["drivers"]
    assert [driver["driver_id"] for driver in found] == ["stays", "here"]
    ends = {"points": [{"driver_id": "here"}, {"driver_id": "stays"}]}
    way = api.post("/api/v1/route", json=ends).json()["properties"]
    assert 150 < way["distance_m"] < 500
    wait_until(lambda: "leaving_shards" not in api.get("/health").json(), what="none are left")
