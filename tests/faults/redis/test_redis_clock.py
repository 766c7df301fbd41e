"""Redis under a clock that steps: ids go on, leases hold, every accepted fix is stored once.

The clock is libfaketime's (Debian: the package libfaketime), or where FAKETIME_LIBRARY says.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from common.keys import shard_keys, shard_of
from consumers.stream.entry import id_order
from consumers.stream.holder import Holder
from consumers.stream.lease import TTL_S
from tests.roles.shard import KEYS, QUICK, shard, worker_settings, working
from tests.servers import RedisServer
from tests.servers.ingest_server import ingest
from tests.wait import until

HOUR_S = 3600
# Of one shard, whose worker runs in the test.
DRIVERS = [name for name in (f"clock-{n}" for n in range(40)) if shard_of(name, 4) == 0][:5]
LIVE_WITHIN_S = 1.0


def library() -> str:
    """Path of libfaketime; skips the test without it."""
    named = os.environ.get("FAKETIME_LIBRARY")
    places = [Path(named)] if named else Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    for place in places:
        if place.is_file():
            return str(place)
    pytest.skip("no libfaketime in /usr/lib, and FAKETIME_LIBRARY names none")


class SteppingClock:
    """The clock of a server: the real one and an offset that may change while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step_to(0)

    def step_to(self, offset_s: int) -> None:
        """From now on it is so many seconds ahead of the real one."""
        partial = self._file.with_suffix(".new")
        partial.write_text(f"{offset_s:+d}\n")
        partial.replace(self._file)

    def environment(self) -> dict[str, str]:
        """What a server runs with. Only the time of day steps: the kernel promises that much."""
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path) -> SteppingClock:
    return SteppingClock(tmp_path / "clock")


@pytest.fixture
def server(tmp_path: Path, clock: SteppingClock, monkeypatch) -> Iterator[RedisServer]:
    # Without the quicker allocator, which does not start beside libfaketime.
    monkeypatch.setattr("tests.servers.redis_environment", clock.environment)
    running = RedisServer(tmp_path)
    running.start()
    try:
        yield running
    finally:
        running.kill()


class Drivers:
    """Send fixes through ingest; each must be accepted, become live at once, and be stored."""

    def __init__(self, client: httpx.AsyncClient, it: Any) -> None:
        self._client = client
        self._it = it
        self._sent = 0
        self.ids: list[tuple[int, int]] = []

    async def move(self, rounds: int) -> None:
        """Each driver so many times."""
        for _ in range(rounds):
            for driver in DRIVERS:
                await self._send(driver)

    async def _send(self, driver: str) -> None:
        self._sent += 1
        latitude = self._sent / 1000
        when = datetime.now(UTC) + timedelta(microseconds=self._sent)
        fix = {"latitude": latitude, "longitude": 1.0, "recorded_at": when.isoformat()}
        began_s = time.monotonic()
        answer = await self._client.post(f"/api/v1/drivers/{driver}/location", json=fix)
        assert answer.status_code == 202, answer.text
        entry_id = answer.json()["message_id"].removeprefix("0-").encode()
        self.ids.append(id_order(entry_id))

        async def moved() -> bool:
            value = await self._it.live(driver)
            return value is not None and f'"latitude":{latitude},'.encode() in value

        await until(moved, timeout_s=5, what=f"{driver} at {latitude}")
        assert time.monotonic() - began_s < LIVE_WITHIN_S


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S])
def test_a_clock_of_redis_that_steps_there_and_back_loses_and_freezes_nothing(
    server: RedisServer, clock: SteppingClock, database_url: str, step_s: int
) -> None:
    # A read that waits on the old clock is given up that much after its time; by default 5 s.
    pace = replace(QUICK, reply_timeout_s=0.5, read_block_s=1.0)

    async def main(url: str) -> None:
        settings = worker_settings(server.url, database_url)
        async with (
            shard(server.url, database_url) as it,
            # Ends only when it is told to: a lost lease would raise here.
            working(settings, pace),
            httpx.AsyncClient(base_url=url, timeout=5) as client,
        ):
            drivers = Drivers(client, it)
            await drivers.move(20)
            # Then the worker waits for more.
            await it.stored(len(drivers.ids))
            clock.step_to(step_s)
            await until(lambda: is_ahead(it, step_s), what="the step")
            if step_s < 0:
                # The read that waits now would wait for an hour.
                await until(lambda: was_said(said, "live.redis_trouble"), what="a read given up")
            await drivers.move(20)
            await still_leads(it)
            clock.step_to(0)
            await drivers.move(20)
            await still_leads(it)
            await it.stored(len(drivers.ids))
            assert await it.count() == len(drivers.ids) == len(DRIVERS) * 60
            assert drivers.ids == sorted(set(drivers.ids))
            assert await it.dead() == []

    with ingest(REDIS_URL=server.url) as api, capture_logs() as said:
        asyncio.run(main(api.url))


def test_a_pace_that_a_clock_left_in_the_future_keeps_nobody_out(one_server: RedisServer) -> None:
    """Until its time came again the driver was refused: for as long as the clock had stepped."""
    driver = DRIVERS[0]
    ahead_us = (time.time() + HOUR_S) * 1e6
    with ingest(REDIS_URL=one_server.url) as api:
        one_server.command(
            "SET", shard_keys("driver-locations", 0, 4).rate + driver, f"{ahead_us:.0f}"
        )
        fix = {"latitude": 1.0, "longitude": 1.0}
        answer = httpx.post(f"{api.url}/api/v1/drivers/{driver}/location", json=fix)
        assert answer.status_code == 202, answer.text


async def was_said(said: list[Any], event: str) -> bool:
    return any(line["event"] == event for line in said)


async def is_ahead(it: Any, step_s: int) -> bool:
    seconds, _ = await it.redis.time()
    return abs(int(seconds) - time.time() - step_s) < 60


async def still_leads(it: Any) -> None:
    """The lease is renewed on the new clock, and the same worker has it."""

    async def renewed() -> bool:
        left_ms = await it.redis.pttl(KEYS.consumer)
        holder = Holder.parse((await it.redis.get(KEYS.consumer) or b"").decode())
        held = holder is not None and holder.pid == os.getpid()
        return held and (TTL_S - 1) * 1000 < left_ms <= TTL_S * 1000

    await until(renewed, what="the lease on the new clock")
