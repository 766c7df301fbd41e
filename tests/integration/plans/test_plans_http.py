"""Plans over HTTP: a real planner with real solvers behind a real ingest."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jsonschema_rs
import psutil
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import order_book_key, order_bucket, shard_keys, shard_of
from common.orders.order import Order, StateTimes, encode_order
from common.orders.states import DeliveryState
from tests.clients.commands import Command
from tests.clients.commands import start as start_command
from tests.servers import free_port
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.redis_cluster import AnyRedis
from tests.stack import environment
from tests.wait import wait_until

pytest.importorskip("vroom")
PATH = "/api/v1/plans"
HERE, THERE = {"latitude": 53.40, "longitude": -2.99}, {"latitude": 53.41, "longitude": -2.98}
BODY: dict[str, Any] = {
    "vehicles": [{"id": "v1", "driver_id": "d1", "capacity": [3]}, {"id": "v2", "start": THERE}],
    "jobs": [{"id": "j1", "at": THERE, "service_s": 60, "delivery": [1]}],
    "shipments": [{"id": "s1", "pickup": {"at": HERE}, "delivery": {"at": THERE}, "amount": 1}],
}


class Planner:
    """`fleetline planner` as a process."""

    def __init__(self) -> None:
        self.port = free_port()
        self._settings = {
            "PLANNER_PORT": str(self.port),
            "METRICS_PORT": str(free_port()),
            "LOG_LEVEL": "error",
        }
        self._process: Command | None = None

    def start(self) -> None:
        """Start it, and wait until its solvers are there."""
        self._process = start_command(["planner"], environment(self._settings))
        wait_until(self.solvers, timeout_s=60, what="solvers")

    def solvers(self) -> list[psutil.Process]:
        assert self._process is not None
        children: list[psutil.Process] = psutil.Process(self._process.pid).children()
        return children

    def kill(self) -> None:
        """SIGKILL; its solvers go with it."""
        assert self._process is not None
        solvers = self.solvers()
        self._process.kill()
        self._process.wait(10)
        psutil.wait_procs(solvers, 10)
        assert not [one for one in solvers if one.is_running()]

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    running = Planner()
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def server(planner: Planner, redis_session: AnyRedis) -> Iterator[IngestServer]:
    redis_session.clear()
    with ingest(REDIS_URL=redis_session.url, PLANNER_PORT=str(planner.port)) as running:
        yield running


@pytest.fixture
def api(server: IngestServer, store: Any) -> Iterator[httpx.Client]:
    """A client, and a driver who is in the street."""
    put_position(store, "d1")
    with httpx.Client(base_url=server.url, timeout=40) as client:
        yield client


def put_position(store: Any, driver_id: str, age_s: float = 0) -> None:
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    event = encode_event(driver_id, LocationUpdate(HERE["latitude"], HERE["longitude"]), when, when)
    store.hset(shard_keys("driver-locations", shard_of(driver_id, 4), 4).live, driver_id, event)


def put_order(store: Any, order_id: str, driver_id: str, state: DeliveryState) -> None:
    now = datetime.now(UTC)
    order = Order(version=1, order_id=order_id, driver_id=driver_id, state=state,
                  times=StateTimes(new=now), updated_at=now)  # fmt: skip
    store.hset(order_book_key(order_bucket(order_id)), order_id, encode_order(order))


def served(plan: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    return {
        route["vehicle"]: [(s["type"], s["id"]) for s in route["stops"] if s["id"] is not None]
        for route in plan["routes"]
    }


def test_a_plan_is_as_it_is_described(api: httpx.Client) -> None:
    answer = api.post(PATH, json=BODY)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    document = api.get("/openapi.json").json()
    schema = document["components"]["schemas"]["PlanAnswer"]
    jsonschema_rs.Draft202012Validator({**schema, **document}).validate(plan)
    stops = sorted(stop for route in served(plan).values() for stop in route)
    assert stops == [("delivery", "s1"), ("job", "j1"), ("pickup", "s1")]
    assert plan["unassigned"] == []
    first = plan["routes"][0]["stops"][0]
    assert first["type"] == "start"
    assert abs(datetime.fromisoformat(first["arrival_at"]) - datetime.now(UTC)) < timedelta(
        minutes=2
    )
    assert first["arrival_at"].endswith("Z")
    assert {route["vehicle"]: route["driver_id"] for route in plan["routes"]}.items() <= {
        "v1": "d1", "v2": None,
    }.items()  # fmt: skip


def test_with_a_matrix_times_are_seconds(api: httpx.Client) -> None:
    body = {
        "vehicles": [{"id": "v", "start": {"index": 0}, "end": {"index": 0}, "shift": [100, 900]}],
        "jobs": [{"id": "j", "at": {"index": 1}, "windows": [[400, 500]], "service_s": 30}],
        "matrix": {"durations_s": [[0, 50], [60, 0]], "distances_m": [[0, 500], [600, 0]]},
    }
    plan = api.post(PATH, json=body).json()
    [route] = plan["routes"]
    assert [stop["arrival_at"] for stop in route["stops"]] == [350, 400, 490]
    assert (route["duration_s"], route["distance_m"], plan["cost"]) == (140, 1100, 110)
    assert plan["method"] == "matrix"


def test_faults_are_named_and_other_failures_are_problems(api: httpx.Client, store: Any) -> None:
    answer = api.post(PATH, json={**BODY, "jobs": [{"id": "j1"}], "limit_s": 99})
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.json()["errors"]} == {"jobs[0].at", "limit_s"}
    put_position(store, "d1", age_s=3600)
    answer = api.post(PATH, json=BODY)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "vehicles[0].driver_id"
    json_type = {"content-type": "application/json"}
    assert api.post(PATH, content=b"{", headers=json_type).status_code == 400
    assert api.post(PATH, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    large = api.post(PATH, content=b" " * (8 * 1_048_576 + 1), headers=json_type)
    assert large.status_code == 413
    assert api.get(PATH).status_code == 405


def test_orders_stay_with_their_drivers_where_that_is_asked_for(
    api: httpx.Client, store: Any
) -> None:
    put_order(store, "s1", "d1", DeliveryState.PICKED_UP)
    put_order(store, "j1", "d1", DeliveryState.ASSIGNED)
    plan = api.post(PATH, json={**BODY, "keep": "assigned"}).json()
    assert sorted(served(plan)["v1"]) == [("delivery", "s1"), ("job", "j1")]


def test_a_plan_of_megabytes_goes_through(api: httpx.Client) -> None:
    dice = random.Random(1)
    side = 400
    rows = [[round(dice.uniform(10, 5000), 1) for _ in range(side)] for _ in range(side)]
    body = {
        "vehicles": [{"id": f"v{n}", "start": {"index": n}} for n in range(20)],
        "jobs": [{"id": f"j{n}", "at": {"index": 20 + n}} for n in range(side - 20)],
        "matrix": {"durations_s": rows, "distances_m": rows},
    }
    answer = api.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["unassigned"] == []


def test_too_many_are_429_and_those_that_leave_make_room(
    server: IngestServer, planner: Planner, api: httpx.Client
) -> None:
    dice = random.Random(2)
    rows = [[dice.randint(10, 5000) for _ in range(300)] for _ in range(300)]
    long = {
        "vehicles": [{"id": f"v{n}", "start": {"index": n}} for n in range(20)],
        "jobs": [{"id": f"j{n}", "at": {"index": 20 + n}} for n in range(280)],
        "matrix": {"durations_s": rows}, "limit_s": 10,
    }  # fmt: skip
    solvers = len(planner.solvers())
    before = {one.pid for one in planner.solvers()}

    async def main() -> int:
        async with httpx.AsyncClient(base_url=server.url, timeout=40) as client:
            asked = [
                asyncio.create_task(client.post(PATH, json=long)) for _ in range(3 * solvers + 1)
            ]
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            refused = next(task.result() for task in done)
            assert refused.headers["retry-after"]
            assert refused.json()["type"] == "/problems/too-many-plans"
            return refused.status_code

    assert asyncio.run(main()) == 429
    # Their solvers were killed with them, and others are there.
    wait_until(
        lambda: not before & {one.pid for one in planner.solvers()},
        timeout_s=60,
        what="new solvers",
    )
    wait_until(lambda: api.post(PATH, json=BODY).status_code == 200, timeout_s=60)


def test_a_planner_that_is_killed_is_said_and_comes_back(
    api: httpx.Client, planner: Planner
) -> None:
    for solver in planner.solvers():
        with contextlib.suppress(psutil.NoSuchProcess):
            solver.kill()
    # An idle solver that was killed is replaced, and costs no plan.
    assert api.post(PATH, json=BODY).status_code == 200
    planner.kill()
    answer = api.post(PATH, json=BODY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == "/problems/unavailable"
    # Fixes do not notice.
    fix = {"latitude": 1.0, "longitude": 2.0}
    assert api.post("/api/v1/drivers/d9/location", json=fix).status_code == 202
    planner.start()
    wait_until(lambda: api.post(PATH, json=BODY).status_code == 200, timeout_s=60)
