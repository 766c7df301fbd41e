"""The number of shards changes under load: nothing is lost, doubled, or moved back."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.keys import META
from common.layout import Layout
from deploy.tools.stack_shards import stack_layouts
from tests.clients.beside import beside
from tests.roles.hosts import Hosts, hosts_of
from tests.roles.shard import worker_settings
from tests.servers.ingest_server import ingest
from tests.stack import environment
from tests.wait import wait_until

DRIVERS = [f"reshard-{n}" for n in range(40)]
# Longest pause of what customers see. What is promised is 5 s, on hosts that do nothing else.
LIVE_GAP_S = 15.0


class Fleet:
    """Drivers that send, and one who watches. Fixes of a driver rise in latitude."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.accepted = 0
        self.newest: dict[str, float] = {}
        self.moved_back: list[tuple[str, float, float]] = []
        self.longest_gap_s = 0.0
        self.stopping = threading.Event()
        self._began = datetime.now(UTC) - timedelta(hours=1)

    def send(self) -> None:
        count = 0
        with httpx.Client(base_url=self._url, timeout=5) as client:
            while not self.stopping.wait(0.02):
                count += 1
                fixes = [self._fix(driver, count) for driver in DRIVERS]
                answer = client.post("/api/v1/drivers/locations", json={"locations": fixes})
                # A body of which some was refused is sent again as a whole, as drivers do.
                while answer.status_code != 202 and not self.stopping.is_set():
                    self.stopping.wait(0.05)
                    answer = client.post("/api/v1/drivers/locations", json={"locations": fixes})
                if answer.status_code == 202:
                    self.accepted += len(fixes)
                    self.newest = dict.fromkeys(DRIVERS, count / 100_000)

    def _fix(self, driver: str, count: int) -> dict[str, Any]:
        when = self._began + timedelta(milliseconds=count)
        return {
            "driver_id": driver,
            "latitude": count / 100_000,
            "longitude": 1.0,
            "recorded_at": when.isoformat(),
        }

    def watch(self) -> None:
        driver, shown, moved_s = DRIVERS[0], 0.0, time.monotonic()
        with httpx.Client(base_url=self._url, timeout=5) as client:
            while not self.stopping.wait(0.01):
                answer = client.get(f"/api/v1/drivers/{driver}/location")
                now_s = time.monotonic()
                latitude = answer.json()["latitude"] if answer.status_code == 200 else shown
                if latitude < shown:
                    self.moved_back.append((driver, shown, latitude))
                if latitude != shown or not shown:
                    shown, moved_s = latitude, now_s
                self.longest_gap_s = max(self.longest_gap_s, now_s - moved_s)


@contextmanager
def fleet(url: str) -> Iterator[Fleet]:
    load = Fleet(url)
    with beside(load.stopping, load.send, load.watch):
        yield load


@pytest.fixture
def hosts(redis_server, database_url) -> Iterator[Hosts]:
    settings = worker_settings(redis_server.url, database_url, shards=4)
    with hosts_of(settings, LOCATION_TTL="86400") as running:
        yield running


def reshard(hosts: Hosts, *arguments: str) -> subprocess.Popen[str]:
    """The command. Old positions are read for a second after the switch alone."""
    return subprocess.Popen(
        (sys.executable, "-m", "deploy.cli", "reshard", *arguments),
        env=environment({**hosts.environment, "LOCATION_TTL": "1"}),
        stdout=subprocess.PIPE,
        text=True,
    )


def ended(hosts: Hosts, *arguments: str) -> int:
    """The command's exit status, once it has ended."""
    with reshard(hosts, *arguments) as command:
        return command.wait(60)


def layout(hosts: Hosts) -> Layout:
    return stack_layouts(hosts.redis, hosts.settings).now


async def rows(url: str) -> tuple[int, int]:
    database = await asyncpg.connect(url)
    try:
        query = "SELECT count(*), count(DISTINCT (driver_id, recorded_at)) FROM locations"
        (row,) = await database.fetch(query)
        return row[0], row[1]
    finally:
        await database.close()


def test_shards_become_more_and_fewer_and_a_change_that_was_killed_goes_on(hosts: Hosts) -> None:
    hosts.start()
    with (
        ingest(
            REDIS_URL=hosts.settings.redis_url,
            SHARDS="4",
            LOCATION_TTL="86400",
            RATE_FIXES_PER_S="0",
        ) as api,
        fleet(api.url) as load,
    ):
        wait_until(lambda: load.accepted > 400)
        with reshard(hosts, "--shards", "9") as first:
            assert first.stdout is not None
            for line in first.stdout:
                # Fixes go to the new ones, and the old streams are open.
                if line.startswith("fixes go to"):
                    break
            first.kill()
        assert layout(hosts) == Layout(9, 2)
        assert ended(hosts, "--shards", "9") == 0
        more = load.accepted
        wait_until(lambda: load.accepted > more + 400)
        assert ended(hosts, "--shards", "3") == 0
        assert layout(hosts) == Layout(3, 3)
        more = load.accepted
        wait_until(lambda: load.accepted > more + 400)
        load.stopping.set()
        wait_until(hosts.stored, timeout_s=20)
        newest = httpx.get(f"{api.url}/api/v1/drivers/{DRIVERS[1]}/location")
        assert newest.json()["latitude"] == load.newest[DRIVERS[1]]
    stored, distinct = asyncio.run(rows(hosts.settings.database_url))
    assert stored == distinct >= load.accepted
    assert load.moved_back == []
    assert load.longest_gap_s < LIVE_GAP_S
    # Of the layouts that are gone nothing is left but closed streams.
    left = {key.partition(b":")[0] for key in hosts.redis.keys("*{1.*") + hosts.redis.keys("*{2.*")}
    assert left <= {b"driver-locations", b"closed", b"rate"}


def test_a_change_is_taken_back_before_it_is_made(hosts: Hosts) -> None:
    # Nobody runs consumers, so the new shards get no workers.
    hosts.redis.hset(META, "shards", 4)
    with reshard(hosts, "--shards", "8") as begun:
        wait_until(lambda: stack_layouts(hosts.redis, hosts.settings).coming == Layout(8, 2))
        begun.kill()
    assert ended(hosts, "--shards", "5") == 1
    assert ended(hosts, "--abort") == 0
    assert stack_layouts(hosts.redis, hosts.settings) == (Layout(4), None, None)
