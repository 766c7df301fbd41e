"""Long bodies at the apps' paths beside honest drivers: what they cost, and what others notice.

A tracking link could once hold up all drivers: a body was read, decoded and judged before anybody
asked whether its sender may send fixes at all.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.access import AUTH, bearer, token
from tests.clients.flood import flooded, post
from tests.servers import valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.wait import wait_until

# About 1 MiB of items that are cheap to write and dear to judge, for each app.
LONG_BODIES = {
    "/background-geolocation?driver_id=x": b"[" + b'{"coords":{}},' * 74_000 + b"{}]",
    "/overland": b'{"locations":[' + b'{"geometry":{"type":"Point"}},' * 34_000 + b"{}]}",
    "/owntracks": b'{"_type":"location","x":[' + b"{}," * 340_000 + b"{}]}",
    "/osmand": b"id=" + b"%41" * 340_000,
}
ROUND_S = 2.0
# Bodies a second from each of them, far more than once was enough. They are only to keep the
# server busy: what they burn themselves is taken from nobody.
ATTACKS_PER_S = 10
# CPU of a worker for a request that is refused for its sender's role; measured: under 1 ms.
ROLE_REFUSAL_S = 0.01
# CPU for a body of 1 MiB with more items than are taken: reading and decoding it, no more.
ITEMS_REFUSAL_S = 0.15


@pytest.fixture(scope="module")
def server() -> Iterator[IngestServer]:
    with valkey() as broker, ingest(REDIS_URL=broker.url, RATE_FIXES_PER_S="0", **AUTH) as found:
        wait_until(lambda: httpx.get(f"{found.url}/health").status_code == 200)
        yield found


def header(role: str, subject: str) -> dict[str, str]:
    return bearer(token(role, subject))


def cpu_s(server: IngestServer) -> float:
    """CPU that the workers have used."""
    times = [child.cpu_times() for child in server.process.children()]
    return float(sum(t.user + t.system for t in times))


@pytest.mark.parametrize("path", LONG_BODIES)
def test_a_tracking_link_costs_nothing_but_a_403(server: IngestServer, path: str) -> None:
    headers = header("tracker", "order-1")
    post(server.url, path, b"", headers)
    before = cpu_s(server)
    statuses = {post(server.url, path, LONG_BODIES[path], headers) for _ in range(20)}
    assert statuses <= {403, 0}
    assert (cpu_s(server) - before) / 20 < ROLE_REFUSAL_S


@pytest.mark.parametrize("path", LONG_BODIES)
def test_a_drivers_endless_body_is_not_judged(server: IngestServer, path: str) -> None:
    headers = header("driver", "x")
    before = cpu_s(server)
    statuses = {post(server.url, path, LONG_BODIES[path], headers) for _ in range(5)}
    # One message of OwnTracks is one fix, however long.
    assert statuses <= ({200} if path == "/owntracks" else {413, 0})
    assert (cpu_s(server) - before) / 5 < ITEMS_REFUSAL_S


def honest_statuses(url: str, headers: dict[str, str]) -> Counter[int]:
    """What a driver is answered that sends one fix after the other for `ROUND_S`."""
    fix: dict[str, Any] = {"latitude": 1, "longitude": 2}
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=url, headers=headers) as api:
        end_at = time.monotonic() + ROUND_S
        while time.monotonic() < end_at:
            statuses[api.post("/api/v1/drivers/honest/location", json=fix).status_code] += 1
    return statuses


def test_a_tracking_link_holds_up_no_driver(server: IngestServer) -> None:
    """Three connections once took others' POST from 4 ms to 1,900, half of them answered 503.

    Time on a busy machine says little, so it is the worker's CPU that is compared: what the
    attack takes of it is what a driver may have to wait for.
    """
    driver = header("driver", "honest")
    before = cpu_s(server)
    alone = honest_statuses(server.url, driver)
    fix_s = (cpu_s(server) - before) / alone.total()
    tracker = header("tracker", "order-1")
    with flooded(server.url, tracker, list(LONG_BODIES.items()), per_s=ATTACKS_PER_S):
        before = cpu_s(server)
        beside = honest_statuses(server.url, driver)
        taken_s = cpu_s(server) - before - beside.total() * fix_s
    assert set(alone) == set(beside) == {202}
    assert taken_s < ROUND_S / 10
