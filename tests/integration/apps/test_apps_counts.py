"""What is said of fixes that are not stored as they were sent: by every worker, and in the log."""

import json
import time
from datetime import datetime

import httpx
import pytest

from common.access.policy import Role
from common.redis.client import new_client
from deploy.status import read_apps
from tests.access import AUTH, token
from tests.entries import take_events
from tests.odd.tables import TABLES
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

TIMES = {"no_time", "too_old", "in_the_future", "clock_weeks_off", "clock_not_set"}
ENCRYPTED = {"_type": "encrypted", "data": "x"}


def ready(url: str) -> None:
    wait_until(lambda: httpx.get(f"{url}/health").status_code == 200, what="ingest to accept")


def test_the_counts_of_all_workers_are_one(redis_server: AnyRedis) -> None:
    """Each worker once counted for itself, and showed nothing."""
    with ingest(REDIS_URL=redis_server.url, INGEST_WORKERS="3") as server:
        ready(server.url)
        # Connections of their own meet different workers.
        for _ in range(30):
            httpx.post(f"{server.url}/owntracks", json=ENCRYPTED)
        counted = {"owntracks": {"encrypted": 30}}
        wait_until(
            lambda: httpx.get(f"{server.url}/health").json()["apps"] == counted, what="30 of them"
        )
    with new_client(redis_server.url) as client:
        assert read_apps(client) == counted


def test_they_outlive_a_full_redis_and_their_worker(redis_server: AnyRedis) -> None:
    with ingest(REDIS_URL=redis_server.url) as server:
        ready(server.url)
        redis_server.command("CONFIG", "RESETSTAT")
        redis_server.command("CONFIG", "SET", "maxmemory", "1")
        httpx.post(f"{server.url}/owntracks", json=ENCRYPTED)
        # Written about once a second, and refused for now.
        wait_until(lambda: b"errorstat_OOM" in redis_server.command("INFO", "errorstats"))
        redis_server.command("CONFIG", "SET", "maxmemory", "0")
    # The last counts of a worker are written when it stops.
    with ingest(REDIS_URL=redis_server.url) as server:
        ready(server.url)
        found = httpx.get(f"{server.url}/health").json()["apps"]
        assert found == {"owntracks": {"encrypted": 1}}


def test_app_time_server(redis_server: AnyRedis) -> None:
    """A phone whose clock is wrong lost every fix, with 200."""
    expected: dict[str, dict[str, int]] = {}
    with ingest(REDIS_URL=redis_server.url, APP_TIME="server", SHARDS="1") as server:
        ready(server.url)
        for app, rows in TABLES.items():
            for row in rows:
                dated = sum(row.counts.values())
                if not TIMES & set(row.counts):
                    continue
                url = f"{server.url}/{app}?{row.query}"
                headers = {"content-type": row.content_type}
                answer = httpx.post(url, content=row.content, headers=headers)
                assert answer.status_code == 200
                assert "fleetline-refused" not in answer.headers
                events = take_events(redis_server)
                assert len(events) == len(row.stored) + dated
                recorded = [datetime.fromisoformat(e["recorded_at"]).timestamp() for e in events]
                # By their phones' own clocks the fixes of the tables are a minute old, or more.
                assert len([at for at in recorded if time.time() - at < 20]) == dated
                found = expected.setdefault(app, {"server_time": 0})
                found["server_time"] += dated
        wait_until(lambda: httpx.get(f"{server.url}/health").json()["apps"] == expected)


def test_the_log_says_each_kind_once_and_no_credential(
    redis_server: AnyRedis, capfd: pytest.CaptureFixture[str]
) -> None:
    credential = token(Role.DRIVER, "d")
    settings = {"LOG_LEVEL": "info", "SHARDS": "1", **AUTH}
    with ingest(REDIS_URL=redis_server.url, **settings) as server:
        ready(server.url)
        paths = [f"/osmand/{credential}", f"/osmand?token={credential}", f"/osmand/{credential}x"]
        for path in paths:
            mark = "&" if "?" in path else "?"
            for query in ("id=d&lat=91&lon=2", "id=d&lat=1&lon=2", "id=d&lat=1&lon=2&order_id=$"):
                httpx.post(f"{server.url}{path}{mark}{query}")
            httpx.post(f"{server.url}{path}", content=b"x" * 20_000)
            httpx.put(f"{server.url}{path}")
        # Redis refuses every write: an answer, and a line, of another kind.
        redis_server.command("CONFIG", "SET", "maxmemory", "1")
        try:
            for path in paths:
                mark = "&" if "?" in path else "?"
                httpx.post(f"{server.url}{path}{mark}id=d&lat=1&lon=2")
        finally:
            redis_server.command("CONFIG", "SET", "maxmemory", "0")
    said = capfd.readouterr().err
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    refusals = [line for line in lines if line.get("event") == "app.no_position"]
    assert [(line["app"], line["driver_id"]) for line in refusals] == [("osmand", "d")]
    assert credential not in said
