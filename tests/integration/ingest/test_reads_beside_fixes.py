"""Long reads of the history beside fixes: the drivers must not wait for whoever looks."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.integration.ingest.test_ingest_route import fill, row
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

FIXES = 10_000
READERS = 20
ROUND_S = 2.0
# Beside 20 readers the median was 100 times what it was alone; what is left is one thread's time
# shared with a read that is formatted in pieces.
RATIO_MAX = 8.0
FIX = {"latitude": 1.0, "longitude": 2.0}


@pytest.fixture
def server(postgres_session: PostgresServer, redis_server: AnyRedis) -> Iterator[IngestServer]:
    name = postgres_session.create_database()
    now = datetime.now(UTC).replace(microsecond=0)
    rows = [row("d", now - timedelta(seconds=n), speed=1.5) for n in range(1, FIXES + 1)]
    url = postgres_session.url(name)
    asyncio.run(fill(url, rows))
    with ingest(REDIS_URL=redis_server.url, DATABASE_URL=url, RATE_FIXES_PER_S="0") as running:
        wait_until(lambda: httpx.get(f"{running.url}/health").status_code == 200)
        yield running
    postgres_session.drop_database(name)


async def median_s(url: str) -> float:
    """The median wait of a driver's POSTs, one after the other; all of them are taken."""
    waits = []
    async with httpx.AsyncClient(base_url=url) as api:
        end_at = time.monotonic() + ROUND_S
        while time.monotonic() < end_at:
            began = time.perf_counter()
            answer = await api.post("/api/v1/drivers/x/location", json=FIX)
            waits.append(time.perf_counter() - began)
            assert answer.status_code == 202
    return sorted(waits)[len(waits) // 2]


async def read(url: str, statuses: Counter[int]) -> None:
    """Read pages of the greatest length, one after the other, until cancelled."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as api:
        while True:
            async with api.stream("GET", f"/api/v1/drivers/d/route?limit={FIXES}") as answer:
                statuses[answer.status_code] += 1
                # Not decoded here: this process measures.
                async for _ in answer.aiter_raw():
                    pass


def test_drivers_do_not_wait_for_readers(server: IngestServer) -> None:
    async def run() -> tuple[float, float, Counter[int]]:
        statuses: Counter[int] = Counter()
        alone_s = await median_s(server.url)
        readers = [asyncio.create_task(read(server.url, statuses)) for _ in range(READERS)]
        beside_s = await median_s(server.url)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return alone_s, beside_s, statuses

    alone_s, beside_s, statuses = asyncio.run(run())
    # On a slow machine the end of the line is told to come again.
    assert set(statuses) <= {200, 503}
    assert statuses[200] > READERS / 2
    assert beside_s / alone_s < RATIO_MAX
