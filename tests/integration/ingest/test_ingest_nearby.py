"""The nearest drivers, over real shards; geo and live keys are written as the workers would."""

import contextlib
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import shard_keys, shard_of
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis

EARTH_M = 6_372_797.560856


@pytest.fixture(scope="module")
def by_shards(redis_session: AnyRedis) -> Iterator[dict[int, str]]:
    """An ingest for each of three numbers of shards, all on the same Valkey."""
    urls = {}
    with contextlib.ExitStack() as servers:
        for shards in (1, 7, 4):
            # The one before wrote its number of shards, with which this one would not start.
            redis_session.clear()
            server = servers.enter_context(ingest(REDIS_URL=redis_session.url, SHARDS=str(shards)))
            urls[shards] = server.url
        yield urls


def put(
    store: Any, shards: int, driver_id: str, lat: float, lng: float, *, age_s: float = 0
) -> None:
    keys = shard_keys("driver-locations", shard_of(driver_id, shards), shards)
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    event = encode_event(driver_id, LocationUpdate(latitude=lat, longitude=lng), when, when)
    store.hset(keys.live, driver_id, event)
    store.geoadd(keys.geo, (lng, lat, driver_id))


def haversine(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    a, b = math.radians(lat1), math.radians(lat2)
    h = (
        math.sin((b - a) / 2) ** 2
        + math.cos(a) * math.cos(b) * math.sin(math.radians(lng2 - lng1) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(math.sqrt(h))


def ask(url: str, **query: object) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/drivers/nearby", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["count"] == len(found["drivers"])
    drivers: list[dict[str, Any]] = found["drivers"]
    return drivers


def spread(count: int) -> list[tuple[str, float, float]]:
    """A spiral around Oslo; every fifth stands exactly where the one before does."""
    found = []
    for i in range(count):
        j = i - 1 if i % 5 == 0 and i else i
        found.append((f"d{i:03}", 59.91 + j * 1e-4 * math.sin(j), 10.75 + j * 2e-4 * math.cos(j)))
    return found


def test_the_answer_does_not_depend_on_the_number_of_shards(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any
) -> None:
    drivers = spread(200)
    answers = {}
    for shards, url in by_shards.items():
        store.flushall()
        for driver in drivers:
            put(store, shards, *driver)
        answers[shards] = [
            [(d["driver_id"], d["distance"]) for d in ask(url, lat=59.91, lng=10.75, **query)]
            for query in ({"limit": 1}, {"limit": 7}, {}, {"radius": 100_000, "limit": 1000})
        ]
    assert answers[1] == answers[4] == answers[7]
    widest = answers[1][-1]
    assert len(widest) == 200
    assert widest == sorted(widest, key=lambda d: (d[1], d[0]))
    true = {i: haversine(59.91, 10.75, lat, lng) for i, lat, lng in drivers}
    # Redis keeps positions to 52 bits: well below a metre.
    assert all(abs(distance - true[i]) < 1 for i, distance in widest)


def test_a_crowd_at_one_point_is_ordered_by_id(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any
) -> None:
    for shards, url in by_shards.items():
        store.flushall()
        for i in range(300):
            put(store, shards, f"d{i:03}", 1.0, 1.0)
        found = [d["driver_id"] for d in ask(url, lat=1, lng=1, limit=10)]
        assert found == [f"d{i:03}" for i in range(10)]


def test_drivers_that_are_too_old_make_room_for_farther_ones(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any
) -> None:
    for shards, url in by_shards.items():
        store.flushall()
        for i in range(400):
            put(store, shards, f"old{i:03}", 1.0, 1.0 + i * 1e-6, age_s=400)
        for i in range(5):
            put(store, shards, f"young{i}", 1.005, 1.0 + i * 1e-4)
        found = [d["driver_id"] for d in ask(url, lat=1, lng=1, limit=5)]
        assert found == [f"young{i}" for i in range(5)]


def test_a_driver_without_a_live_value_is_not_shown(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any
) -> None:
    store.geoadd(shard_keys("driver-locations", shard_of("ghost", 4), 4).geo, (1.0, 1.0, "ghost"))
    assert ask(by_shards[4], lat=1, lng=1) == []


def test_only_what_is_within_the_radius(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any
) -> None:
    put(store, 4, "near", 0.0, 0.008)
    put(store, 4, "far", 0.0, 0.010)
    assert [d["driver_id"] for d in ask(by_shards[4], lat=0, lng=0)] == ["near"]
    assert len(ask(by_shards[4], lat=0, lng=0, radius=2000)) == 2
    assert ask(by_shards[4], lat=0, lng=0, radius=0) == []


@pytest.mark.parametrize("lng", [180, -180, 179.9999, -179.9999])
def test_the_antimeridian_is_no_border(
    by_shards: dict[int, str], redis_server: AnyRedis, store: Any, lng: float
) -> None:
    put(store, 4, "west", -17.0, 179.999)
    put(store, 4, "east", -17.0, -179.999)
    assert {d["driver_id"] for d in ask(by_shards[4], lat=-17, lng=lng)} == {"west", "east"}


@pytest.mark.parametrize("lat", [90, -90, 85.06, 85.05112878, -85.05112878])
@pytest.mark.parametrize("lng", [0, 180, -180])
@pytest.mark.parametrize("radius", [0, 0.001, 100_000])
def test_the_ends_of_the_earth_have_an_answer(
    by_shards: dict[int, str], redis_server: AnyRedis, lat: float, lng: float, radius: float
) -> None:
    assert ask(by_shards[4], lat=lat, lng=lng, radius=radius) == []
