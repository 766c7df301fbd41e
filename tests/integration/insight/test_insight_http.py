"""Trips, stops, summaries and heat maps over HTTP, from what the follower stored."""

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.geo import cells
from common.geo.sphere import distance_m
from consumers.insight.fold.rules import Rules
from tests.integration.insight.insight_history import follow_to, row, store
from tests.servers.ingest_server import ingest
from tests.servers.postgres import Databases
from tests.servers.redis_cluster import AnyRedis
from tests.servers.timescale import compress

DAY = datetime(2026, 3, 1, tzinfo=UTC)
CELLS = cells.cell_function() if cells.available() else None


def at(hours: float) -> str:
    return (DAY + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def shift(driver_id: str, start: datetime, hours: int = 3, lat: float = 53.4) -> list[Any]:
    """Ten minutes of driving 60 km/h north, five of standing, again and again; 10 s apart."""
    rows, north = [], 0.0
    for n in range(hours * 360):
        north += 0.0015 if n % 90 < 60 else 0.0
        when = start + timedelta(seconds=10 * n)
        rows.append(row(driver_id, when, lat + north, -2.9, speed=60.0))
    return rows


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[str]:
    name = databases.create_database()
    url = databases.url(name)

    async def fill() -> None:
        connection = await asyncpg.connect(url)
        rows = shift("d", DAY + timedelta(hours=8)) + shift("d", DAY + timedelta(hours=22))
        rows += shift("e", DAY + timedelta(hours=8, minutes=30), 1, lat=53.41)
        now = datetime.now(UTC).replace(microsecond=0)
        rows += shift("now", now - timedelta(minutes=38), 1)[: 38 * 6 - 2]
        await store(connection, rows, marked=False)
        await compress(connection)
        await connection.close()
        await follow_to(url, Rules(speed_limit_kmh=50, cells=True), now, CELLS)

    asyncio.run(fill())
    yield url
    databases.drop_database(name)


@pytest.fixture(scope="module")
def api(database: str, redis_session: AnyRedis) -> Iterator[httpx.Client]:
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database) as server,
        httpx.Client(base_url=server.url, timeout=15) as client,
    ):
        yield client


def get(api: httpx.Client, path: str, **query: object) -> httpx.Response:
    answer = api.get(f"/api/v1/{path}", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer


def test_trips_of_a_day(api):
    body = get(api, "drivers/d/trips", start_time=at(0), end_time=at(22)).json()
    assert len(body["trips"]) == body["count"] == 12
    assert body["next_cursor"] is None
    first = body["trips"][0]
    assert first["start_time"] == at(8)
    assert first["trip_id"].startswith("d-1772")
    # 59 moves of 0.0015 degrees, in ten minutes less ten seconds.
    ends = [first[side][axis] for side in ("start", "end") for axis in ("latitude", "longitude")]
    assert first["distance_m"] == pytest.approx(distance_m(*ends), rel=1e-6)
    assert (first["duration_s"], first["fixes"], first["max_speed"]) == (590, 60, 60)
    assert first["moving_s"] == 590
    assert not first["open"]


def test_stops_stand_between_trips(api):
    stops = get(api, "drivers/d/stops", start_time=at(0), end_time=at(22)).json()["stops"]
    assert [stop["ended_by"] for stop in stops] == ["move"] * 11 + ["gap"]
    assert stops[0]["start_time"] == "2026-03-01T08:09:50Z"
    assert (stops[0]["duration_s"], stops[0]["fixes"], stops[0]["open"]) == (310, 31, False)


def test_pages_lead_on_and_repeat_nothing(api):
    path, seen = "/api/v1/drivers/d/trips?limit=5&start_time=2026-03-01T00:00:00Z", []
    path += "&end_time=2026-03-03T00:00:00Z"
    while path:
        answer = api.get(path)
        seen += [trip["start_time"] for trip in answer.json()["trips"]]
        path = answer.links.get("next", {}).get("url", "")
    assert len(seen) == len(set(seen)) == 24
    assert seen == sorted(seen)


def test_the_last_trip_and_stop_are_open(api):
    """The one that is under way was missing."""
    trips = get(api, "drivers/now/trips").json()["trips"]
    stops = get(api, "drivers/now/stops").json()["stops"]
    assert [trip["open"] for trip in trips] == [False, False, True]
    assert [stop["open"] for stop in stops] == [False, False]
    assert stops[-1]["ended_by"] == "move"


@pytest.mark.parametrize("kind", ["trips", "stops"])
def test_other_formats(api, kind):
    query = {"start_time": at(0), "end_time": at(22)}
    items = get(api, f"drivers/d/{kind}", **query).json()[kind]
    answer = get(api, f"drivers/d/{kind}", **query, format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["start_time"] for row in rows] == [item["start_time"] for item in items]
    assert {row["driver_id"] for row in rows} == {"d"}
    drawn = get(api, f"drivers/d/{kind}", **query, format="geojson").json()
    assert drawn["type"] == "FeatureCollection"
    assert len(drawn["features"]) == len(items)
    shape = {"trips": "LineString", "stops": "Point"}[kind]
    assert {feature["geometry"]["type"] for feature in drawn["features"]} == {shape}


def test_a_summary_is_the_sum_of_its_parts(api):
    query = {"start_time": at(0), "end_time": at(24)}
    whole = get(api, "drivers/d/summary", **query).json()
    trips = get(api, "drivers/d/trips", **query).json()["trips"]
    hours = get(api, "drivers/d/summary", **query, by="hour").json()
    assert [b["start_time"] for b in hours["buckets"]][:3] == [at(8), at(9), at(10)]
    for name in ("distance_m", "moving_s", "stopped_s", "gap_s", "fixes", "trips", "stops"):
        parts = sum(bucket[name] for bucket in hours["buckets"])
        assert parts == pytest.approx(whole["total"][name]), name
    total = whole["total"]
    assert (total["first"], total["last"]) == (at(8), "2026-03-01T23:59:50Z")
    assert total["moving_s"] + total["stopped_s"] + total["gap_s"] == pytest.approx(57_590 + 10)
    assert total["distance_m"] == pytest.approx(sum(t["distance_m"] for t in trips), rel=0.001)
    assert total["over_limit_s"] == total["moving_s"]
    assert total["max_speed"] == 60


@pytest.mark.parametrize(
    ("zone", "day", "starts"),
    [
        ("UTC", "2026-03-01", "2026-03-01T00:00:00Z"),
        ("Asia/Kathmandu", "2026-03-01", "2026-02-28T18:15:00Z"),
        ("America/New_York", "2026-03-01", "2026-03-01T05:00:00Z"),
    ],
)
def test_a_day_is_one_of_the_zone_to_the_quarter(api, zone, day, starts):
    """Offsets of quarters too: sums by whole hours put 45 minutes into the wrong day."""
    query = {"start_time": "2026-02-28T00:00:00Z", "end_time": "2026-03-04T00:00:00Z"}
    days = get(api, "drivers/d/summary", **query, by="day", tz=zone).json()["buckets"]
    found = {bucket["start_time"]: bucket for bucket in days}
    begin = datetime.fromisoformat(starts)
    exact = get(
        api, "drivers/d/summary", start_time=starts,
        end_time=(begin + timedelta(days=1)).isoformat(),
    ).json()["total"]  # fmt: skip
    assert found[starts]["fixes"] == exact["fixes"] > 0, day
    assert found[starts]["distance_m"] == pytest.approx(exact["distance_m"])


def test_hours_of_a_day_that_changes_its_clock(api):
    """23 hours: 29 March 2026 in Berlin."""
    query = {"start_time": "2026-03-28T23:00:00Z", "end_time": "2026-03-29T22:00:00Z"}
    body = get(api, "drivers/d/summary", **query, by="day", tz="Europe/Berlin").json()
    # Nothing moved; the gap that goes on does not end, so it is not known to be one.
    assert body["buckets"] == []


def test_everybody(api):
    query = {"start_time": at(0), "end_time": at(24)}
    body = get(api, "fleet/summary", **query).json()
    assert [driver["driver_id"] for driver in body["drivers"]] == ["d", "e"]
    own = get(api, "drivers/d/summary", **query).json()["total"]
    shown = dict(body["drivers"][0])
    shown.pop("driver_id")
    assert shown == {**own, "gap_s": shown["gap_s"]}
    assert shown["gap_s"] == pytest.approx(own["gap_s"])
    total = get(api, "fleet/summary", **query, group="none").json()["total"]
    assert total["distance_m"] == pytest.approx(sum(d["distance_m"] for d in body["drivers"]))
    first = api.get("/api/v1/fleet/summary", params={**query, "limit": 1})
    assert [d["driver_id"] for d in first.json()["drivers"]] == ["d"]
    second = api.get(first.links["next"]["url"]).json()
    assert [d["driver_id"] for d in second["drivers"]] == ["e"]
    by = get(api, "fleet/summary", **query, by="hour").json()["drivers"][0]["buckets"]
    assert sum(b["distance_m"] for b in by) == pytest.approx(own["distance_m"])
    text = get(api, "fleet/summary", **query, format="csv").text
    assert text.splitlines()[0].startswith("driver_id,fixes,distance_m")
    assert len(text.splitlines()) == 3


@pytest.mark.skipif(CELLS is None, reason="h3 is not installed")
def test_heat(api):
    query = {"start_time": at(8), "end_time": at(10)}
    fixes = get(api, "fleet/heat", **query, of="fixes").json()
    assert sum(cell["value"] for cell in fixes["cells"]) == 720 + 360
    for resolution in (5, 6, 7, 8):
        body = get(api, "fleet/heat", **query, of="drivers", resolution=resolution).json()
        expected = {}
        for fix in [*shift("d", DAY + timedelta(hours=8))[:720],
                    *shift("e", DAY + timedelta(hours=8, minutes=30), 1, lat=53.41)]:  # fmt: skip
            cell = CELLS(fix[2], fix[3], 8)
            import h3.api.basic_int as h3

            expected.setdefault(f"{h3.cell_to_parent(cell, resolution):x}", set()).add(fix[0])
        found = {cell["cell"]: cell["value"] for cell in body["cells"]}
        assert found == {cell: len(who) for cell, who in expected.items()}
    speed = get(api, "fleet/heat", **query, of="speed").json()["cells"]
    assert all(55 < cell["value"] < 65 for cell in speed)
    stops = get(api, "fleet/heat", **query, of="stops").json()["cells"]
    assert sum(cell["value"] for cell in stops) == 8 + 4
    box = "-2.95,53.39,-2.85,53.45"
    some = get(api, "fleet/heat", **query, bbox=box, format="geojson").json()
    assert 0 < len(some["features"]) < len(fixes["cells"])
    ring = some["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("drivers/d/trips?start_time=yesterday", "start_time"),
        ("drivers/d/trips?limit=1001", "limit"),
        ("drivers/d/stops?cursor=-1", "cursor"),
        ("drivers/d/stops?format=gpx", "format"),
        ("drivers/d/summary?by=week", "by"),
        ("drivers/d/summary?tz=Mars/Olympus", "tz"),
        ("drivers/d/summary?tz=%27;drop", "tz"),
        # What broke: where no row needed the zone nobody looked at it.
        ("drivers/nobody/summary?tz=Mars/Olympus", "tz"),
        ("fleet/summary?tz=Mars/Olympus", "tz"),
        ("fleet/summary?group=none&tz=Mars/Olympus", "tz"),
        ("drivers/d/summary?by=hour&start_time=2020-01-01T00:00:00Z", "by"),
        ("fleet/summary?group=shift", "group"),
        ("fleet/summary?cursor=%00", "cursor"),
        ("fleet/heat?resolution=9", "resolution"),
        ("fleet/heat?of=love", "of"),
        ("fleet/heat?bbox=1,2,3", "bbox"),
        ("fleet/heat?bbox=nan,1,2,3", "bbox"),
        ("fleet/heat?bbox=1_0,1,22,3", "bbox"),
        ("fleet/heat?start_time=2020-01-01T00:00:00Z", "start_time"),
    ],
)
def test_what_is_wrong_is_named(api, path, field):
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_simplified_route_keeps_its_ends_and_leads_on(api):
    query = {"start_time": at(0), "end_time": at(22), "simplify": 10}
    full = get(api, "drivers/d/route", start_time=at(0), end_time=at(22), limit=10_000).json()
    body = get(api, "drivers/d/route", **query).json()
    assert len(full["points"]) == 1080
    # Each drive and each stop is a straight line.
    assert body["count"] == len(body["points"]) < 60
    assert body["points"][0] == full["points"][0]
    assert body["points"][-1] == full["points"][-1]
    path, seen = f"/api/v1/drivers/d/route?start_time={at(0)}&end_time={at(22)}&simplify=10", []
    path += "&limit=7"
    while path:
        answer = api.get(path)
        seen += [point["recorded_at"] for point in answer.json()["points"]]
        path = answer.links.get("next", {}).get("url", "")
    assert seen == sorted(set(seen))
    assert seen[-1] == full["points"][-1]["recorded_at"]
    assert set(seen) <= {point["recorded_at"] for point in full["points"]}
