"""The whole pipeline on a cluster, and what a dead primary stops: its own shards, nobody else's."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from common.redis.client import new_client
from common.shards import Shard, Shards
from common.slots import SLOTS
from deploy.stack.wiring import CLUSTER_PRIMARIES, CLUSTER_SHARDS
from tests.clients.ws import watching
from tests.stack import Stack, new_home
from tests.system.test_up import count_rows
from tests.wait import until, wait_until

FIX = {"latitude": 53.4, "longitude": -2.9}
SHARDS = Shards("driver-locations", CLUSTER_SHARDS)
# Shards lie in the order of their slots, so the first primary has the first of them.
FIRST = [s for s in SHARDS if s.slot * CLUSTER_PRIMARIES // SLOTS == 0]
OTHERS = [s for s in SHARDS if s not in FIRST]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose Redis are three primaries and three replicas."""
    with new_home() as home, Stack(home, "--cluster", extra={"DATABASE_TIMEOUT_S": "3"}) as running:
        yield running


def driver_in(shards: list[Shard], number: int = 0) -> str:
    """A driver of one of these shards."""
    names = (f"d{number}-{n}" for n in range(1000))
    return next(name for name in names if SHARDS.of(name) in shards)


def post(stack: Stack, driver: str, **more: object) -> int:
    """Send a fix; the status."""
    with contextlib.suppress(OSError):
        return stack.request("POST", f"/api/v1/drivers/{driver}/location", {**FIX, **more})[0]
    return 0


def test_it_goes_all_the_way(stack: Stack) -> None:
    drivers = [driver_in([shard]) for shard in SHARDS]
    before = count_rows(stack)

    async def watch(order: str, driver: str) -> None:
        async with watching(stack.port, order) as socket:
            assert await asyncio.to_thread(post, stack, driver, order_id=order) == 202
            frame = await socket.json()
            assert frame["data"]["driver_id"] == driver

    async def watch_all() -> None:
        # Orders of many buckets, on all primaries.
        await asyncio.gather(*(watch(f"o{n}", d) for n, d in enumerate(drivers * 3)))

    asyncio.run(watch_all())
    many = [{**FIX, "driver_id": driver} for driver in drivers]
    assert stack.request("POST", "/api/v1/drivers/locations", many)[0] == 202
    wait_until(lambda: count_rows(stack) - before == 4 * len(drivers), what="rows")
    for driver in drivers:
        assert stack.request("GET", f"/api/v1/drivers/{driver}/location")[0] == 200
    found = stack.request("GET", "/api/v1/drivers/nearby?lat=53.4&lng=-2.9&radius=100")[1]
    assert found["count"] == len(drivers)
    assert "missing_shards" not in found
    order = {"driver_id": drivers[0]}
    assert stack.request("PUT", "/api/v1/orders/known", order)[0] == 201
    assert stack.request("POST", "/api/v1/orders/known/complete")[0] == 202
    health = stack.request("GET", "/health")[1]
    assert (health["status"], health["missing_shards"], health["unreplicated_shards"]) == (
        "ok", [], [],
    )  # fmt: skip


def test_shards_lie_evenly_on_the_primaries(stack: Stack) -> None:
    with new_client(stack.redis_url) as client:
        owners = [client.get_node_from_key(shard.keys.stream).name for shard in SHARDS]
    assert len(set(owners)) == CLUSTER_PRIMARIES
    assert {owners.count(name) for name in owners} == {len(SHARDS) // CLUSTER_PRIMARIES}


def test_a_dead_primary_stops_its_own_shards_alone(stack: Stack) -> None:
    # It was given the first slots.
    pid = stack.pid("redis-1")
    assert pid is not None
    here, elsewhere = driver_in(FIRST, 1), driver_in(OTHERS, 1)
    assert post(stack, here) == post(stack, elsewhere) == 202
    rows = count_rows(stack)
    accepted = 0

    async def main() -> None:
        nonlocal accepted
        async with watching(stack.port, "elsewhere") as socket:
            os.kill(pid, signal.SIGKILL)
            back_at: float | None = None
            loop = asyncio.get_running_loop()
            began = loop.time()
            # From the first refusal until the shard takes fixes again.
            while back_at is None or loop.time() < back_at + 0.5:
                assert await asyncio.to_thread(post, stack, elsewhere) == 202
                status = await asyncio.to_thread(post, stack, here, order_id="elsewhere")
                accepted += 1 + (status == 202)
                assert status in {202, 503}
                if status == 202 and back_at is None and loop.time() > began + 1:
                    back_at = loop.time()
                assert loop.time() < began + 20
            assert back_at - began < 10
            # Its customers see it again, too.
            await until(lambda: _shows(socket, here), what="frames")

    asyncio.run(main())
    wait_until(lambda: count_rows(stack) - rows >= accepted, timeout_s=20, what="rows")
    wait_until(
        lambda: stack.request("GET", "/health")[1]["status"] == "ok", timeout_s=40, what="health"
    )


async def _shows(socket: object, driver: str) -> bool:
    frame = await socket.json()  # type: ignore[attr-defined]
    return bool(frame["data"]["driver_id"] == driver)
