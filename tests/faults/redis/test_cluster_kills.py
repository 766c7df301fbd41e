"""Primaries of a cluster are killed under load: what was accepted is stored, each fix once, and
nobody else's drivers notice.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from common.shards import Shards
from common.slots import slot_of
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import RedisClusterServers
from tests.stack import environment
from tests.wait import pace, until, wait_until

# One for each primary.
SHARDS = Shards("driver-locations", 3)
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
# A failover takes node-timeout and an election; this machine does other things, too.
BACK_WITHIN_S = 15.0


@contextlib.contextmanager
def consumers(settings: dict[str, str]) -> Iterator[None]:
    """All consumers for the block."""
    process = subprocess.Popen(
        (sys.executable, "-m", "deploy.cli", "consumers"), env=environment(settings)
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


class Drivers:
    """Drivers that send one fix after the other, each again until it is accepted."""

    def __init__(self, url: str, count: int) -> None:
        self._api = httpx.AsyncClient(base_url=url, timeout=10)
        self._names = [f"kills-{n}" for n in range(count)]
        self.accepted: dict[tuple[str, datetime], int] = {}
        self.sent: set[tuple[str, datetime]] = set()
        # By shard: when something was not accepted, and when it was accepted last.
        self.refused: dict[int, list[float]] = defaultdict(list)
        self.accepted_at: dict[int, float] = {}
        self.odd: list[str] = []
        self.stopping = False

    async def run(self, gap_s: float) -> None:
        """Until `stopping`; then each ends with a fix that was accepted."""
        await asyncio.gather(*(self._drive(name, gap_s) for name in self._names))
        await self._api.aclose()

    async def _drive(self, name: str, gap_s: float) -> None:
        shard, number = SHARDS.of(name).index, 0
        while not self.stopping:
            number += 1
            when = START + timedelta(milliseconds=number)
            self.sent.add((name, when))
            fix = {"latitude": 53.4, "longitude": -2.9, "recorded_at": when.isoformat()}
            while not await self._post(name, shard, fix):
                await pace(0.05)
            self.accepted[name, when] = self.accepted.get((name, when), 0) + 1
            await pace(gap_s)

    async def _post(self, name: str, shard: int, fix: dict[str, object]) -> bool:
        response = await self._api.post(f"/api/v1/drivers/{name}/location", json=fix)
        now_s = time.monotonic()
        if response.status_code == 202:
            self.accepted_at[shard] = now_s
            return True
        self.refused[shard].append(now_s)
        if response.status_code != 503:
            self.odd.append(response.text)
        return False


async def rows_of(database_url: str) -> list[tuple[str, datetime]]:
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        query = "SELECT driver_id, recorded_at FROM locations"
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def kill_one(cluster: RedisClusterServers, drivers: Drivers, rng: random.Random) -> float:
    """Kill a primary, wait until its shard is accepted again, start it; how long that took."""
    shard = rng.choice(list(SHARDS))
    victim = cluster.owner(shard.keys.stream)
    mine = {s.index for s in SHARDS if cluster.owner(s.keys.stream) is victim}
    before = {index: len(drivers.refused[index]) for index in range(len(SHARDS))}
    killed_s = time.monotonic()
    victim.kill()

    async def back() -> bool:
        refused = drivers.refused[shard.index]
        noticed = len(refused) > before[shard.index]
        return noticed and drivers.accepted_at.get(shard.index, 0.0) > refused[-1]

    await until(back, timeout_s=BACK_WITHIN_S, what="the shard to be accepted again")
    back_s = time.monotonic() - killed_s
    others = {index for index, count in before.items() if len(drivers.refused[index]) > count}
    assert others <= mine, "the shards of other primaries were refused"
    # Here: the kernel ends it with the thread that started it.
    victim.start()
    await asyncio.to_thread(cluster.whole)
    return back_s


async def kill_many(
    cluster: RedisClusterServers, database_url: str, url: str, *, rounds: int, gap_s: float
) -> list[float]:
    """Kill that many under load, and judge; how long each shard was not accepted."""
    drivers, rng = Drivers(url, 30), random.Random(7)
    driving = asyncio.create_task(drivers.run(gap_s))
    await until(lambda: _count(drivers, 100), what="fixes")
    waits = [await kill_one(cluster, drivers, rng) for _ in range(rounds)]
    drivers.stopping = True
    await driving
    assert drivers.odd == []

    async def stored() -> bool:
        return drivers.accepted.keys() <= set(await rows_of(database_url))

    await until(stored, timeout_s=30, what="all that was accepted to be stored")
    rows = await rows_of(database_url)
    assert len(rows) == len(set(rows))
    assert set(rows) <= drivers.sent
    return waits


async def _count(drivers: Drivers, least: int) -> bool:
    return len(drivers.accepted) >= least


def test_what_was_accepted_outlives_the_primary(
    cluster: RedisClusterServers, database_url: str
) -> None:
    assert len({cluster.owner(shard.keys.stream).port for shard in SHARDS}) == 3
    assert all(slot_of(shard.keys.stream) == shard.slot for shard in SHARDS)
    settings = {
        "REDIS_URL": cluster.url, "DATABASE_URL": database_url, "SHARDS": "3",
        "LOG_LEVEL": "error", "INSIGHT": "off",
    }  # fmt: skip
    with ingest(**settings) as server, consumers(settings):
        accepts = lambda: httpx.get(f"{server.url}/health").json()["status"] == "ok"  # noqa: E731
        wait_until(accepts, timeout_s=30, what="consumers and ingest")
        run = kill_many(cluster, database_url, server.url, rounds=2, gap_s=0.02)
        asyncio.run(run)
