"""The running stack: whatever is killed comes back; what it tells; what it replays."""

import asyncio
import itertools
import json
import os
import signal
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.clients.ws import watching
from tests.freezing import freeze
from tests.stack import ROLES, Stack, fleetline, within
from tests.wait import wait_until

BACK_S = 5.0
_numbers = itertools.count()


def count_rows(stack: Stack, where: str = "true") -> int:
    async def count() -> int:
        connection = await asyncpg.connect(stack.database_url, timeout=5)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM locations WHERE {where}"))
        finally:
            await connection.close()

    return asyncio.run(count())


def post(stack: Stack, driver: str) -> bool:
    """Whether a fix is accepted now; tried again by whoever asks again."""
    try:
        status, _ = stack.request(
            "POST",
            f"/api/v1/drivers/{driver}/location",
            {"latitude": 53.4, "longitude": -2.9, "recorded_at": datetime.now(UTC).isoformat()},
        )
    except OSError:
        return False
    return status == 202


def goes_all_the_way(stack: Stack) -> None:
    """A new fix is accepted, becomes the live position, and reaches the route: all of it works."""
    driver = f"way-{next(_numbers)}"
    within(BACK_S, lambda: post(stack, driver), "accepted")
    for path in (f"/api/v1/drivers/{driver}/location", f"/api/v1/drivers/{driver}/route"):
        within(BACK_S, partial(answers, stack, path), path)


def answers(stack: Stack, path: str) -> bool:
    try:
        status, body = stack.request("GET", path)
    except OSError:
        return False
    return status == 200 and bool(body.get("points", True))


def shards_work(stack: Stack) -> None:
    """Fixes of drivers on every shard go all the way."""
    for _ in range(8):
        goes_all_the_way(stack)


def is_back(stack: Stack, role: str, before: int) -> bool:
    return stack.pid(role) not in {None, before} and stack.states().get(role) == "running"


# Those that nobody waits for die together.
KILLED = (
    ("redis",), ("postgres",), ("consumers",), ("fanout",), ("ingest",),
    ("consumer-0", "consumer-3"),
    ("gateway", "insight", "places"), ("hooks", "arrivals", "planner"),
)  # fmt: skip


def test_each_role_is_killed() -> None:
    assert {role for roles in KILLED for role in roles} >= set(ROLES)


@pytest.mark.parametrize("roles", KILLED, ids="-".join)
def test_what_is_killed_is_back_within_five_seconds(stack: Stack, roles: tuple[str, ...]) -> None:
    before = {role: stack.pid(role) for role in roles}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    back = [partial(is_back, stack, role, pid or 0) for role, pid in before.items()]
    within(BACK_S, lambda: all(each() for each in back), f"{roles} back")
    goes_all_the_way(stack)
    shards_work(stack)


def test_a_consumer_that_hangs_is_replaced(stack: Stack) -> None:
    # A stopped process lives and does nothing: only its heartbeat tells.
    before = stack.pid("consumer-1")
    freeze(before)
    wait_until(
        lambda: stack.pid("consumer-1") not in {None, before},
        timeout_s=15,
        what="consumer-1 replaced",
    )


def test_a_driver_may_be_called_orders(stack: Stack) -> None:
    assert post(stack, "orders")


def test_replay_with_late_rows_keeps_the_newest_live(stack: Stack, tmp_path: Path) -> None:
    # The example's late rows are all of other buses, so one driver's own are tested here.
    rows = [(1, 53.1), (5, 53.5), (3, 53.3), (2, 53.2), (4, 53.4)]
    file = tmp_path / "late.csv"
    file.write_text(
        "driver_id,recorded_at,latitude,longitude\n"
        + "".join(f"late-1,2026-01-01T10:00:0{s}Z,{lat},-2.9\n" for s, lat in rows)
    )
    assert fleetline("replay", str(file), "--speed", "0", "--url", stack.url).returncode == 0
    wait_until(lambda: count_rows(stack, "driver_id = 'late-1'") == 5, what="5 rows")
    _, live = stack.request("GET", "/api/v1/drivers/late-1/location")
    assert live["latitude"] == 53.5
    _, route = stack.request("GET", "/api/v1/drivers/late-1/route")
    assert [p["latitude"] for p in route["points"]] == [53.1, 53.2, 53.3, 53.4, 53.5]


def test_replay_says_what_was_refused(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(
        "driver_id,recorded_at,latitude,longitude\n"
        "bad-1,2026-01-01,53,-2\nbad-1,2026-01-02,153,-2\nbad-1,never,53,-2\n"
    )
    result = fleetline("replay", str(file), "--speed", "0", "--url", stack.url)
    assert result.returncode == 1
    assert "sent 3, accepted 1, refused 2, skipped 0" in result.stdout
    assert "row 2: latitude: '153' is out of range" in result.stdout
    assert "row 3: recorded_at: 'never' is not a time" in result.stdout


def test_bodies_up_to_the_limit_pass_the_door_and_larger_ones_are_problems(stack: Stack) -> None:
    fix = {"driver_id": "big-1", "latitude": 1, "longitude": 2, "padding": "x" * 1000}
    now_ms = int(time.time() * 1000)
    fixes = [{**fix, "recorded_at": now_ms - n} for n in range(900)]
    status, body = stack.request("POST", "/api/v1/drivers/locations", {"locations": fixes})
    assert (status, body["accepted"]) == (202, 900)
    status, body = stack.request("POST", "/api/v1/drivers/locations", {"x": "y" * 2_000_000})
    assert (status, body["status"]) == (413, 413)


def test_a_customer_at_the_front_door_sees_the_driver(stack: Stack) -> None:
    order = f"door-{next(_numbers)}"
    fix = {"latitude": 53.4, "longitude": -2.9, "order_id": order}

    async def watch() -> dict[str, Any]:
        async with watching(stack.port, order) as customer:
            status, _ = await asyncio.to_thread(
                stack.request, "POST", "/api/v1/drivers/door-1/location", fix
            )
            assert status == 202
            frame: dict[str, Any] = await customer.json()
            return frame

    frame = asyncio.run(watch())
    assert frame["type"] == "location_update"
    assert frame["data"]["order_id"] == order


def test_status(stack: Stack) -> None:
    # Started with --port: it must find that stack's Redis by the home alone.
    result = fleetline("status", "--json", "--home", str(stack.home))
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    roles = {child["role"]: child["state"] for child in shown["processes"]}
    workers = ("consumer-0", "consumer-1", "consumer-2", "consumer-3", "ingest-0")
    assert set(roles) >= {*ROLES, *workers}
    assert [shard["shard"] for shard in shown["shards"]] == [0, 1, 2, 3]
    assert all(shard["dead_letters"] == 0 for shard in shown["shards"])
    assert all({"room_s", "outage_s"} <= shard.keys() for shard in shown["shards"])
    text = fleetline("status", "--home", str(stack.home)).stdout
    assert "consumer-3" in text
    assert "outage" in text


def test_another_shard_count_is_refused(stack: Stack) -> None:
    result = fleetline(
        "migrate",
        extra={"REDIS_URL": stack.redis_url, "DATABASE_URL": stack.database_url, "SHARDS": "7"},
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("fleetline: SHARDS: ")


def test_a_second_up_on_the_same_home_is_refused(stack: Stack) -> None:
    result = fleetline("up", "--home", str(stack.home), "--port", "31000")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "another `fleetline up`" in line


def test_a_port_in_use_is_refused(stack: Stack, tmp_path: Path) -> None:
    result = fleetline("up", "--home", str(tmp_path / "home"), "--port", str(stack.port))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "is in use" in line
