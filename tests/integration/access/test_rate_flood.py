"""One driver floods beside normal ones, through two workers: it is held, they notice nothing."""

import asyncio
import time
from collections import Counter

import httpx
import pytest

from deploy.tools.traffic.sender import Sender
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import pace, wait_until

FIX = {"latitude": 1.0, "longitude": 2.0}
RATE = 20.0
MEASURED_S = 2.5


def path(driver_id: str) -> str:
    return f"/api/v1/drivers/{driver_id}/location"


async def flood(url: str) -> float:
    """Fixes a second that a flooding driver gets through, its burst spent."""
    async with httpx.AsyncClient(base_url=url) as api:

        async def until(end_at: float) -> Counter[int]:
            found: Counter[int] = Counter()
            while time.monotonic() < end_at:
                answers = [api.post(path("flooder"), json=FIX) for _ in range(8)]
                found.update(answer.status_code for answer in await asyncio.gather(*answers))
            return found

        spent = await until(time.monotonic() + 1.0)
        assert spent[429]
        began = time.monotonic()
        found = await until(began + MEASURED_S)
        assert set(found) == {202, 429}
        return found[202] / (time.monotonic() - began)


async def normal(url: str) -> set[int]:
    """What fifty drivers are answered that send once a second."""
    found = set()
    async with httpx.AsyncClient(base_url=url) as api:
        for number in range(int(50 * MEASURED_S)):
            found.add((await api.post(path(f"n{number % 50}"), json=FIX)).status_code)
            await pace(0.02)
    return found


def test_a_flood_is_held_to_its_limit_and_others_see_no_429(redis_server: AnyRedis) -> None:
    limits = {"RATE_FIXES_PER_S": f"{RATE}", "RATE_BURST": "20", "INGEST_WORKERS": "2"}
    with ingest(REDIS_URL=redis_server.url, **limits) as server:
        wait_until(lambda: httpx.get(f"{server.url}/health").status_code == 200)

        async def both() -> tuple[float, set[int]]:
            return await asyncio.gather(flood(server.url), normal(server.url))

        rate, statuses = asyncio.run(both())
        assert rate == pytest.approx(RATE, rel=0.05)
        assert statuses == {202}


def test_the_sender_repeats_what_came_too_early(redis_server: AnyRedis) -> None:
    limits = {"RATE_FIXES_PER_S": "50", "RATE_BURST": "30"}
    with ingest(REDIS_URL=redis_server.url, **limits) as server:
        wait_until(lambda: httpx.get(f"{server.url}/health").status_code == 200)
        sender = Sender(server.url)
        stamp = int(time.time())
        fixes = [{**FIX, "driver_id": "d", "recorded_at": stamp - n} for n in range(100)]
        fixes[3]["latitude"] = 91
        sender.send(fixes)
        sender.close()
        assert (sender.totals.accepted, sender.totals.refused) == (99, 1)
        assert sender.totals.retries
