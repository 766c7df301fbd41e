"""The whole pipeline on a cluster, and a short round of chaos on it.

The judge of a round asks more than that all is stored: the drivers of other primaries are never
refused, those of a lost one are taken again in time, no customer is left behind, and the fan-out
delivers all the time. `make chaos ARGS="--cluster"` runs longer ones.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.redis.client import new_client
from common.shards import Shard, Shards
from deploy.stack.wiring import CLUSTER_PRIMARIES, CLUSTER_SHARDS
from tests.clients.ws import watching
from tests.faults.chaos.plan import Step
from tests.faults.chaos.report import print_report
from tests.faults.chaos.rounds import QUICK, Options, run_round
from tests.stack import Stack, environment, fleetline, new_home
from tests.system.test_up import count_rows
from tests.wait import until, wait_until

FIX = {"latitude": 53.4, "longitude": -2.9}
SHARDS = Shards("driver-locations", CLUSTER_SHARDS)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose Redis are three primaries and three replicas."""
    with new_home() as home, Stack(home, "--cluster", extra=QUICK) as running:
        yield running


def driver_in(shard: Shard) -> str:
    """A driver of this shard."""
    return next(name for n in range(1000) if SHARDS.of(name := f"d{n}") is shard)


def post(stack: Stack, driver: str, **more: object) -> int:
    """Send a fix; the status."""
    with contextlib.suppress(OSError):
        return stack.request("POST", f"/api/v1/drivers/{driver}/location", {**FIX, **more})[0]
    return 0


# What has the step's shard is struck: each of the primaries, and one that has replaced another.
STEPS = (
    Step(0.3, "lose", "redis", 0, 0),
    Step(0.4, "move", "redis", 2, 0),
    Step(0.5, "kill", "replica", 5, 0),
    Step(0.6, "kill", "redis", 3, 0),
    Step(1.6, "lose", "redis", 1, 0),
)


# Before slots are moved.
def test_shards_lie_evenly_on_the_primaries(stack: Stack) -> None:
    with new_client(stack.redis_url) as client:
        owners = [client.get_node_from_key(shard.keys.stream).name for shard in SHARDS]
    assert len(set(owners)) == CLUSTER_PRIMARIES
    assert {owners.count(name) for name in owners} == {len(SHARDS) // CLUSTER_PRIMARIES}


# Before anybody else sends: its judge knows nobody else's fixes.
def test_a_round_of_chaos_holds_the_law(stack: Stack, tmp_path: Path) -> None:
    options = Options(20, seconds=2, shards=CLUSTER_SHARDS, rate=300, steps=STEPS)
    finished = asyncio.run(run_round(stack, tmp_path, options))
    print_report(finished)
    assert finished.verdict.violations == {}
    # Without these the law would hold for a stack that refuses everything.
    assert finished.verdict.accepted > 1000
    assert finished.verdict.dead_lettered > 5
    assert sum(finished.done.values()) == len(STEPS)


def test_it_goes_all_the_way(stack: Stack) -> None:
    drivers = [driver_in(shard) for shard in SHARDS]
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
    # Each primary's memory is its own, and so is the room of its shards.
    servers = health["room"]["servers"]
    assert len(servers) == CLUSTER_PRIMARIES
    assert sorted(n for server in servers for n in server["shards"]) == list(range(CLUSTER_SHARDS))
    assert all(0 < server["used_bytes"] < server["room_bytes"] for server in servers)


async def _shows(socket: Any, driver: str) -> bool:
    frame = await socket.json()
    return bool(frame["data"]["driver_id"] == driver)


class Changing:
    """What people and programs are shown while the number of shards changes."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def tool(self, *arguments: str) -> str:
        done = fleetline(*arguments, "--home", str(self.stack.home))
        assert done.returncode in {0, 1}, done.stderr
        said: str = done.stdout
        return said

    def json(self, *arguments: str) -> Any:
        return json.loads(self.tool(*arguments, "--json"))


def test_the_number_of_shards_changes_under_all_roles(stack: Stack) -> None:
    """Positions of before are read for as long as LOCATION_TTL; here they are taken out by hand."""
    home = ("--home", str(stack.home))
    seen = Changing(stack)
    parked, drivers = "parked", [f"reshard-{n}" for n in range(30)]
    rows = count_rows(stack)
    assert post(stack, parked) == 202
    assert stack.request("PUT", "/api/v1/orders/resharded", {"driver_id": "reshard-0"})[0] == 201
    with new_client(stack.redis_url, decode=False) as client:
        # Without those of the chaos before.
        for shard in SHARDS:
            client.delete(shard.keys.dead)
        dead = SHARDS.of("reshard-1").keys.dead
        client.xadd(dead, {"payload": b"{", "reason": "undecodable"})

        async def main() -> int:
            sent = 0
            async with watching(stack.port, "resharded") as socket:
                command = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "deploy.cli", "reshard", "--shards", "7", *home),
                    stdout=asyncio.subprocess.PIPE, env=environment({}),
                )  # fmt: skip
                assert command.stdout is not None
                async for line in command.stdout:
                    # Between two of its looks the fleet goes on.
                    for driver in drivers:
                        sent += await asyncio.to_thread(send_once, stack, driver)
                    if line.startswith(b"all is stored"):
                        break
                await until(lambda: _shows(socket, "reshard-0"), what="frames")
                shown_meanwhile(seen, parked)
                for shard in SHARDS:
                    client.delete(shard.keys.seen)
                said = await command.stdout.read()
                assert await command.wait() == 0
                assert said.splitlines()[-1] == b"there are 7 shards, and no others"
            return sent

        sent = asyncio.run(main())
        wait_until(lambda: count_rows(stack) - rows == sent + 1, timeout_s=20, what="rows")
        # The letter went along.
        assert [letter["reason"] for letter in seen.json("dead", "list")["dead_letters"]] == [
            "undecodable"
        ]
        # What nobody can read goes to the first.
        client.delete(Shards("driver-locations", 7, 2)[0].keys.dead)
    wait_until(lambda: stack.request("GET", "/health")[1]["status"] == "ok", what="health")


def send_once(stack: Stack, driver: str) -> int:
    """Send until it is accepted; how many fixes that are stored."""
    order = {"order_id": "resharded"} if driver == "reshard-0" else {}
    fix = {**order, "recorded_at": datetime.now(UTC).isoformat()}
    wait_until(lambda: post(stack, driver, **fix) == 202, timeout_s=20, what="a fix to be accepted")
    return 1


def shown_meanwhile(seen: Changing, parked: str) -> None:
    """Both layouts are shown, and a driver who has not moved since."""
    stack = seen.stack
    assert stack.request("GET", f"/api/v1/drivers/{parked}/location")[0] == 200
    found = stack.request("GET", "/api/v1/drivers/nearby?lat=53.4&lng=-2.9&radius=100&limit=100")[1]
    assert {parked, "reshard-0"} <= {driver["driver_id"] for driver in found["drivers"]}
    health = stack.request("GET", "/health")[1]
    assert [len(health[name]) for name in ("shards", "leaving_shards", "missing_shards")] == [
        7, CLUSTER_SHARDS, 0,
    ]  # fmt: skip
    assert health["dead_letters"] == 1
    status = seen.json("status")["shards"]
    assert [shard.get("leaving", False) for shard in status] == [False] * 7 + [
        True
    ] * CLUSTER_SHARDS
    hosts = seen.json("hosts")
    assert hosts["change"] == f"{CLUSTER_SHARDS} shards are left"
    (host,) = hosts["hosts"]
    assert (len(host["shards"]), len(host["also"])) == (7, CLUSTER_SHARDS)
    letters = seen.json("dead", "list")["dead_letters"]
    assert [letter["id"].partition("-")[0] for letter in letters] == [
        str(SHARDS.of("reshard-1").index)
    ]
    top = seen.json("top", "--every", "0.5")
    names = {str(shard["shard"]) for shard in top["shards"]}
    assert {f"2.{n}" for n in range(7)} <= names
    assert not [trouble for trouble in top["troubles"] if "writer" in trouble]
