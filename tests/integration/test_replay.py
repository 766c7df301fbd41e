"""`fleetline replay` through a real ingest: every row is counted once, and nothing stops it."""

import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from common.keys import shard_keys
from ingest.resources.route.format import FORMATS
from ingest.resources.route.page import PageFacts
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

REPORT = re.compile(r"sent (\d+), accepted (\d+), refused (\d+), skipped (\d+)")
POINT = '<trkpt lat="27.5" lon="-15.5"><time>{}</time></trkpt>'
STAMPS = [f"2024-02-28T14:13:5{n}Z" for n in range(5)]


def command(api: httpx.Client, file: Path, *options: str) -> list[str]:
    url = str(api.base_url)
    return [sys.executable, "-m", "deploy.cli", "replay", str(file), "--url", url, *options]


def replay(
    api: httpx.Client, file: Path, *options: str
) -> tuple[tuple[int, ...], subprocess.CompletedProcess[str]]:
    """Sent, accepted, refused, skipped; and the process."""
    ended = subprocess.run(
        command(api, file, *options), capture_output=True, text=True, timeout=60, check=False
    )
    report = REPORT.search(ended.stdout)
    assert report is not None, ended.stdout + ended.stderr
    counts = tuple(map(int, report.groups()))
    assert counts[0] == sum(counts[1:])
    return counts, ended


def events(store: Any) -> list[dict[str, Any]]:
    """All that is in the streams, by time."""
    found = []
    for shard in range(4):
        entries = store.xrange(shard_keys("driver-locations", shard, 4).stream)
        found += [orjson.loads(line) for _, fields in entries for line in fields[b"e"].split(b"\n")]
    return sorted(found, key=lambda event: str(event["recorded_at"]))


def gpx(tmp_path: Path, *stamps: str) -> Path:
    file = tmp_path / "ride.gpx"
    points = "\n".join(POINT.format(stamp) for stamp in stamps)
    file.write_text(f"<gpx><trk><trkseg>\n{points}\n</trkseg></trk></gpx>")
    return file


def test_one_odd_row_of_many_is_the_only_one_that_is_not_taken(
    api: httpx.Client, store: Any, tmp_path: Path
) -> None:
    """What broke: a nan in row 701 of 1,200: sent 1000, accepted 500, refused 0."""
    rows = [f"n,{1_700_000_000 + n},52.5,13.4" for n in range(1200)]
    rows[700] = rows[700].replace("52.5", "nan")
    file = tmp_path / "n.csv"
    file.write_text("driver_id,time,lat,lon\n" + "\n".join(rows))
    counts, ended = replay(api, file, "--speed", "0")
    assert counts == (1200, 1199, 1, 0)
    assert "row 701: latitude: 'nan' is not a number" in ended.stdout
    assert ended.returncode == 1
    assert len(events(store)) == 1199


@pytest.mark.parametrize("wrong", ["2043-10-14T14:13:54Z", "2004-07-14T14:13:54Z", "1970-01-01"])
@pytest.mark.parametrize("speed", ["0", "40"])
def test_one_wrong_date_neither_stops_nor_delays(
    api: httpx.Client, store: Any, tmp_path: Path, wrong: str, speed: str
) -> None:
    """What broke: the replay waited for decades, or all good rows were refused as too old."""
    file = gpx(tmp_path, *STAMPS[:2], wrong, *STAMPS[3:])
    counts, ended = replay(api, file, "--speed", speed)
    assert counts == (5, 4, 0, 1)
    assert f"row 3: recorded_at: {wrong[:10]}" in ended.stdout
    assert len(events(store)) == 4


def test_it_says_how_long_it_will_take_and_ends_with_its_totals(
    api: httpx.Client, store: Any, tmp_path: Path
) -> None:
    """What broke: not a word for as long as it waited for the next row."""
    file = gpx(tmp_path, "2024-02-28T14:00:00Z", "2024-02-28T15:00:00Z")
    with subprocess.Popen(
        command(api, file, "--speed", "2"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "2 fixes of 60 min: takes 30 min\n"
            wait_until(lambda: len(events(store)) == 1, what="the first fix")
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
        assert process.wait(20) == 130
    assert "interrupted" in rest
    # The first fix may be in the stream and its answer still on the way.
    report = REPORT.search(rest)
    assert report is not None
    assert f"{2 - int(report[1])} of 2 rows were not sent, or not answered" in rest


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_route_writes_comes_back_through_the_api(
    api: httpx.Client, store: Any, tmp_path: Path, form: str
) -> None:
    """What broke: no option could read our own CSV; GPX and GeoJSON lost all but the place."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    minute = timedelta(minutes=1)
    rows = [
        {
            "latitude": 52.5 + n / 1000, "longitude": x, "recorded_at": start + n * minute,
            "received_at": start, "speed": 12.25, "heading": 359.5, "accuracy": None,
            "altitude": None if n else -1.5, "battery": 0.0, "order_id": "o:1" if n else None,
        }
        for n, x in enumerate((179.5, -179.5, -178.0))
    ]  # fmt: skip
    writer = FORMATS[form][1]("d.7")
    writer.add(rows)
    file = tmp_path / f"export.{form}"
    file.write_bytes(writer.finish(PageFacts("d.7", start, start, len(rows), None)))
    counts, ended = replay(api, file, "--speed", "0")
    assert counts == (3, 3, 0, 0), ended.stdout
    for event, row in zip(events(store), rows, strict=True):
        assert event["driver_id"] == "d.7"
        for name in row.keys() - {"recorded_at", "received_at"}:
            assert event.get(name) == row[name], name


def test_orders_of_a_trace_are_registered_first(
    redis_server: AnyRedis, database_url: str, tmp_path: Path
) -> None:
    """Each with its driver and the two ends of its way; one that is over stays so."""
    file = tmp_path / "orders.csv"
    rows = [f"d1,2024-02-28T14:13:5{n}Z,1.{n},2,{order}" for n, order in enumerate("aaab")]
    file.write_text("driver_id,recorded_at,latitude,longitude,order_id\n" + "\n".join(rows))
    with (
        ingest(REDIS_URL=redis_server.url, DATABASE_URL=database_url) as server,
        httpx.Client(base_url=server.url) as api,
    ):
        wait_until(lambda: api.get("/health").status_code == 200)
        assert api.put("/api/v1/orders/b", json={}).status_code == 201
        api.post("/api/v1/orders/b/complete")
        (sent, *_), ended = replay(api, file, "--speed", "0", "--register-orders")
        assert sent == 4
        assert "registered 1 orders; 1 are over, and stay so" in ended.stdout
        order = api.get("/api/v1/orders/a").json()
        assert (order["driver_id"], order["state"]) == ("d1", "assigned")
        assert order["pickup"] == {"latitude": 1.0, "longitude": 2.0}
        assert order["dropoff"] == {"latitude": 1.2, "longitude": 2.0}
        command = [sys.executable, "-m", "deploy.cli", "simulate", "--drivers", "2", "--seconds"]
        done = subprocess.run(
            [*command, "0", "--register-orders", "--url", server.url],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert "registered 2 orders" in done.stdout
        assert api.get("/api/v1/orders/demo-order-0002").json()["dropoff"] is not None
