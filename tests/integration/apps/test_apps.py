"""Phone apps as they are: what they send, their queues, and the rows that come of it."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from ingest.apps import phone_apps
from tests.clients.phones import Phone, any_2xx, ios, result_ok
from tests.entries import take_events
from tests.roles.shard import shard, worker_settings, working
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.wait import wait_until

NOW = int(time.time())
YEAR_S = 366 * 86_400
HOUR_S = 3600
# Oldest first, as a phone that was offline has them; None is a fix with a latitude of 91.
QUEUE: list[int | None] = [
    NOW - YEAR_S, NOW - 7200, NOW - 3600, None, NOW - 60, NOW - 60, NOW + 8 * HOUR_S, NOW - 5,
]  # fmt: skip
STORED = sorted({NOW - 7200, NOW - 3600, NOW - 60, NOW - 5, NOW + 8 * HOUR_S})
REFUSED = 2
JSON = {"content-type": "application/json"}


def latitude(stamp: int | None) -> float:
    return 91 if stamp is None else 48.856826


def iso(stamp: int | None) -> str:
    return datetime.fromtimestamp(stamp or NOW, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def owntracks(driver: str, stamp: int | None) -> dict[str, Any]:
    message = {
        "_type": "location", "lat": latitude(stamp), "lon": 2.292713, "tst": stamp or NOW,
        "acc": 12, "alt": 35, "batt": 71, "vel": 54, "cog": 271, "tid": "JJ", "t": "p",
        "conn": "m", "bs": 1, "topic": f"owntracks/{driver}/phone",
    }  # fmt: skip
    headers = {**JSON, "x-limit-u": driver, "x-limit-d": "phone"}
    return {"content": json.dumps(message), "headers": headers}


def osmand_query(driver: str, stamp: int | None) -> dict[str, Any]:
    return {"method": "GET", "params": _osmand(driver, stamp)}


def osmand_form(driver: str, stamp: int | None) -> dict[str, Any]:
    return {"data": {**_osmand(driver, stamp), "charge": "true"}}


def _osmand(driver: str, stamp: int | None) -> dict[str, Any]:
    return {
        "id": driver, "lat": latitude(stamp), "lon": 2.292713, "timestamp": stamp or NOW,
        "accuracy": 12.0, "altitude": 35.0, "speed": "29.158", "bearing": 271.0, "batt": 71,
    }  # fmt: skip


def sdk_location(stamp: int | None) -> dict[str, Any]:
    return {
        "timestamp": iso(stamp),
        "coords": {
            "latitude": latitude(stamp), "longitude": 2.292713, "accuracy": 12, "speed": 15,
            "heading": 271, "altitude": 35,
        },
        "uuid": "c5b9", "is_moving": True, "odometer": 0, "event": "motionchange",
        "battery": {"level": 0.71, "is_charging": False}, "activity": {"type": "still"},
        "extras": {},
    }  # fmt: skip


def osmand_json(driver: str, stamp: int | None) -> dict[str, Any]:
    return {"json": {"location": sdk_location(stamp), "device_id": driver}}


def background_geolocation(driver: str, stamp: int | None) -> dict[str, Any]:
    return {"json": {"location": sdk_location(stamp), "driver_id": driver}}


def overland(driver: str, stamp: int | None) -> dict[str, Any]:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [2.292713, latitude(stamp)]},
        "properties": {
            "timestamp": iso(stamp), "altitude": 35, "speed": 15, "course": 271,
            "horizontal_accuracy": 12, "vertical_accuracy": 4, "motion": ["driving"],
            "battery_state": "unplugged", "battery_level": 0.71, "device_id": driver, "wifi": "",
        },
    }  # fmt: skip
    return {"json": {"locations": [feature], "current": feature}}


APPS = {
    "owntracks-android": (owntracks, "/owntracks", any_2xx),
    "owntracks-ios": (owntracks, "/owntracks", ios),
    "osmand-query": (osmand_query, "/osmand", any_2xx),
    "traccar-10": (osmand_form, "/osmand", any_2xx),
    "traccar-9": (osmand_json, "/osmand/", any_2xx),
    "overland": (overland, "/overland", result_ok),
    "background-geolocation": (background_geolocation, "/background-geolocation", any_2xx),
}


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    """A Valkey for one shard, which tests stop and start."""
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def server(broker: RedisServer) -> Iterator[IngestServer]:
    with ingest(REDIS_URL=broker.url, SHARDS="1") as found:
        yield found


@pytest.fixture
def api(server: IngestServer, broker: RedisServer) -> Iterator[httpx.Client]:
    broker.command("FLUSHALL")
    with httpx.Client(base_url=server.url, timeout=10) as client:
        wait_until(lambda: client.get("/health").status_code == 200, what="ingest to accept")
        yield client


@pytest.mark.parametrize("app", APPS)
def test_an_offline_queue_ends_in_the_right_rows(
    api: httpx.Client, broker: RedisServer, database_url: str, app: str
) -> None:
    request, path, takes_off = APPS[app]
    phone = Phone(path, takes_off, [request(app, stamp) for stamp in QUEUE])
    assert phone.deliver(api)
    assert phone.lost == []
    refused = sum(int(a.headers.get("fleetline-refused", 0)) for a in phone.answers)
    assert refused == REFUSED * (2 if app == "overland" else 1)

    async def rows() -> Any:
        async with shard(broker.url, database_url, shards=1) as it:
            async with working(worker_settings(broker.url, database_url, shards=1)):
                await it.stored(len(STORED))
                live = json.loads(await it.live(app) or b"{}")
                assert await it.dead() == []
            return live, await it.database.fetch("SELECT * FROM locations ORDER BY recorded_at")

    live, stored = asyncio.run(rows())
    assert [row["recorded_at"].timestamp() for row in stored] == STORED
    for row in stored:
        assert row["driver_id"] == app
        found = [row[name] for name in ("speed", "heading", "accuracy", "altitude", "battery")]
        assert found == pytest.approx([54, 271, 12, 35, 71], abs=0.01)
    # The fix from the future counts as of its arrival: later than what any other says of itself.
    assert live["recorded_at"] == iso(NOW + 8 * HOUR_S).replace(".000Z", "Z")


@pytest.mark.parametrize("app", APPS)
def test_a_future_date_does_not_freeze_the_marker(
    api: httpx.Client, broker: RedisServer, database_url: str, app: str
) -> None:
    request, path, _ = APPS[app]

    async def main() -> None:
        async with (
            shard(broker.url, database_url, shards=1) as it,
            working(worker_settings(broker.url, database_url, shards=1)),
        ):
            for count, stamp in enumerate((NOW + 8 * HOUR_S, int(time.time()) + 2), 1):
                sent = request(app, stamp)
                api.request(sent.pop("method", "POST"), path, **sent).raise_for_status()
                await it.stored(count)
            live = json.loads(await it.live(app) or b"{}")
            recorded = datetime.fromisoformat(live["recorded_at"])
            assert recorded - datetime.now(UTC) < timedelta(hours=1)

    asyncio.run(main())


@pytest.mark.parametrize("app", APPS)
def test_nothing_leaves_the_phone_while_fixes_cannot_be_taken(
    api: httpx.Client, broker: RedisServer, app: str
) -> None:
    request, path, takes_off = APPS[app]
    phone = Phone(path, takes_off, [request(app, NOW - 60), request(app, NOW - 30)])
    broker.stop()
    try:
        assert not phone.deliver(api)
        assert len(phone.queue) == 2
        assert phone.answers[-1].status_code == 503
        assert int(phone.answers[-1].headers["retry-after"]) >= 1
    finally:
        broker.start()
    wait_until(lambda: phone.deliver(api), what="the queue to be delivered")
    assert phone.lost == []
    assert len(take_events(broker)) == (4 if app == "overland" else 2)


@pytest.mark.parametrize(
    ("path", "sent", "answer"),
    [
        ("/owntracks", {"content": b""}, "[]"),
        ("/owntracks", {"content": b"{"}, "[]"),
        ("/osmand?id=d&batt=50", {}, ""),
        ("/osmand?id=d&lat=x&lon=2", {}, ""),
        ("/overland", {"json": {"locations": []}}, '{"result":"ok"}'),
        ("/overland", {"content": b"\xff"}, '{"result":"ok"}'),
        ("/background-geolocation", {"json": {"location": {"event": "x"}, "driver_id": 1}}, "{}"),
        ("/background-geolocation", {"content": b""}, "{}"),
    ],
)
def test_what_is_no_fix_is_answered_as_the_app_moves_on_by(
    api: httpx.Client, broker: RedisServer, path: str, sent: Any, answer: str
) -> None:
    for address in (path, path.replace("?", "/?") if "?" in path else f"{path}/"):
        found = api.post(address, **sent)
        assert (found.status_code, found.text) == (200, answer)
    assert take_events(broker) == []


@pytest.mark.parametrize("app", APPS)
def test_nobody_named_keeps_the_queue(api: httpx.Client, broker: RedisServer, app: str) -> None:
    request, path, _ = APPS[app]
    sent = request("", NOW)
    found = api.request(sent.pop("method", "POST"), path, **sent)
    assert found.status_code == 422
    assert found.json()["errors"][0]["field"] == "driver_id"
    sent = request("", NOW)
    params = urlencode({**sent.pop("params", {}), "driver_id": "d", "order_id": "o"})
    found = api.request(sent.pop("method", "POST"), f"{path}?{params}", **sent)
    assert found.status_code == 200
    assert {event["order_id"] for event in take_events(broker)} == {"o"}


def test_a_long_batch_is_taken_whole(api: httpx.Client, broker: RedisServer) -> None:
    locations = [sdk_location(NOW - second) for second in range(1500)]
    body = {"location": locations, "driver_id": "d"}
    found = api.post("/background-geolocation", content=json.dumps(body, separators=(",", ":")))
    assert found.status_code == 200
    assert len(take_events(broker)) == 1500


@pytest.mark.parametrize("app", phone_apps.APPS, ids=lambda app: app.name)
def test_a_body_beyond_the_limit_is_413(api: httpx.Client, app: phone_apps.PhoneApp) -> None:
    longest = app.bytes_max or 1_048_576
    assert api.post(app.path, content=b" " * (longest + 1)).status_code == 413
    assert api.post(app.path, content=b" " * longest).status_code != 413
