"""A fleet that drives while the number of shards changes, and a judge of its fixes."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from common.layout import Layout
from deploy.tools.stack_shards import stack_layouts
from tests.clients.beside import beside
from tests.roles.hosts import Hosts
from tests.stack import environment

# For measurements by hand: the rate that is promised, and on a quiet machine the gap that is.
FIXES_PER_S = int(os.environ.get("RESHARD_FIXES_PER_S", "400"))
LIVE_GAP_S = float(os.environ.get("RESHARD_LIVE_GAP_S", "15"))
DRIVERS = [f"reshard-{n}" for n in range(max(40, FIXES_PER_S // 20))]
# Of the drivers, those that somebody watches.
WATCHED = DRIVERS[:4]
LATITUDE_STEP = 1e-5


class Fleet:
    """Drivers that send together, each fix north of the one before, and people who watch some."""

    def __init__(self, *urls: str) -> None:
        # Each of a balancer's ingests.
        self._urls = urls
        self._began = datetime.now(UTC)
        # Rounds that were accepted, and such that were sent, the last one perhaps.
        self.accepted = self.sent = 0
        self.newest: dict[str, float] = {}
        self.refused: Counter[int] = Counter()
        self.moved_back: list[tuple[str, float, float]] = []
        self.longest_gap_s = 0.0
        self.longest_refusal_s = 0.0
        self.late = 0
        self.stopping = threading.Event()

    def send(self) -> None:
        """A round of all drivers at a time, sent again until it is accepted, as drivers do."""
        gap_s = len(DRIVERS) / FIXES_PER_S
        due_s = time.monotonic()
        clients = [httpx.Client(base_url=url, timeout=10) for url in self._urls]
        while not self.stopping.is_set():
            body, began_s = self._round(), time.monotonic()
            self.sent += 1
            while not self._is_accepted(clients[self.sent % len(clients)], body):
                if self.stopping.wait(0.05):
                    break
            else:
                self.accepted += 1
                self.newest = dict.fromkeys(DRIVERS, self.accepted * LATITUDE_STEP)
            self.longest_refusal_s = max(self.longest_refusal_s, time.monotonic() - began_s)
            due_s += gap_s
            self.late += due_s < time.monotonic() - 1
            # What is behind is caught up with: so the rate holds.
            self.stopping.wait(max(0.0, due_s - time.monotonic()))
        for client in clients:
            client.close()

    def _is_accepted(self, client: httpx.Client, body: bytes) -> bool:
        headers = {"content-type": "application/json"}
        try:
            answer = client.post("/api/v1/drivers/locations", content=body, headers=headers)
        except httpx.TransportError:
            self.refused[0] += 1
            return False
        if answer.status_code != 202:
            self.refused[answer.status_code] += 1
        return answer.status_code == 202

    def _round(self) -> bytes:
        """No two rounds are dated alike."""
        when = max(datetime.now(UTC), self._began + timedelta(microseconds=1))
        self._began = when
        latitude = (self.sent + 1) * LATITUDE_STEP
        rest = f'","latitude":{latitude:.5f},"longitude":1,"recorded_at":"{when.isoformat()}"}}'
        return (
            b'{"locations":[%b]}'
            % ",".join(f'{{"driver_id":"{driver}{rest}' for driver in DRIVERS).encode()
        )

    def watch(self) -> None:
        """Look at drivers again and again, each time at another ingest."""
        shown = dict.fromkeys(WATCHED, 0.0)
        moved_s = dict.fromkeys(WATCHED, time.monotonic())
        clients = [httpx.Client(base_url=url, timeout=10) for url in self._urls]
        looks = 0
        while not self.stopping.wait(0.02):
            looks += 1
            driver = WATCHED[looks % len(WATCHED)]
            client = clients[looks // len(WATCHED) % len(clients)]
            try:
                answer = client.get(f"/api/v1/drivers/{driver}/location")
            except httpx.TransportError:
                continue
            now_s = time.monotonic()
            if answer.status_code == 200:
                latitude = answer.json()["latitude"]
                if latitude < shown[driver]:
                    self.moved_back.append((driver, shown[driver], latitude))
                if latitude > shown[driver]:
                    shown[driver], moved_s[driver] = latitude, now_s
            if shown[driver]:
                self.longest_gap_s = max(self.longest_gap_s, now_s - moved_s[driver])
        for client in clients:
            client.close()

    def judge(self, database_url: str) -> None:
        """Each fix that was accepted is stored, once, and nothing that was not sent."""
        stored = asyncio.run(_rounds_of(database_url))
        assert set(stored) >= set(DRIVERS)
        for driver in DRIVERS:
            times = stored[driver]
            assert len(times) == len(set(times)), "stored twice"
            assert self.accepted <= len(times) <= self.sent, (driver, len(times), self.accepted)
        assert self.moved_back == []
        assert self.longest_gap_s < LIVE_GAP_S

    def report(self) -> str:
        """For people who measure."""
        return (
            f"{self.accepted * len(DRIVERS):,} fixes at {FIXES_PER_S:,}/s; "
            f"longest live gap {self.longest_gap_s:.2f} s, "
            f"longest refusal {self.longest_refusal_s:.2f} s, refused bodies {dict(self.refused)}"
        )


async def _rounds_of(url: str) -> dict[str, list[datetime]]:
    database = await asyncpg.connect(url)
    try:
        found: dict[str, list[datetime]] = {}
        for driver, when in await database.fetch("SELECT driver_id, recorded_at FROM locations"):
            found.setdefault(driver, []).append(when)
        return found
    finally:
        await database.close()


@contextmanager
def driving(*urls: str) -> Iterator[Fleet]:
    """A fleet that drives for the block."""
    fleet = Fleet(*urls)
    with beside(fleet.stopping, fleet.send, fleet.watch):
        yield fleet


def reshard(hosts: Hosts, *arguments: str) -> "subprocess.Popen[str]":
    """The command, for the servers of these hosts; what it says is read from `stdout`."""
    return subprocess.Popen(
        (sys.executable, "-m", "deploy.cli", "reshard", *arguments),
        env=environment(hosts.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def resharded(hosts: Hosts, *arguments: str, timeout_s: float = 60.0) -> tuple[int, str]:
    """The command's exit status and what it said, once it has ended."""
    with reshard(hosts, *arguments) as command:
        said, _ = command.communicate(timeout=timeout_s)
        return command.returncode, said


def killed_at(hosts: Hosts, stage: str, *arguments: str) -> None:
    """Kill the command once it says `stage`, or let it end where that was over already."""
    with reshard(hosts, *arguments) as command:
        assert command.stdout is not None
        for line in command.stdout:
            if line.startswith(stage):
                break
        command.kill()


def layout(hosts: Hosts) -> Layout:
    """The layout that is written."""
    return stack_layouts(hosts.redis, hosts.settings).now
