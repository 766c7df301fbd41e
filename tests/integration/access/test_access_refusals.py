"""Refusals with AUTH=on: what they cost, whom they tell what, and what they leave in caches."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from common import keys
from common.redis.client import new_client
from tests.access import AUTH, bearer, token
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

FIX = {"latitude": 1.0, "longitude": 2.0}
BROKEN = {"latitude": 91, "longitude": 2.0}
LOCATION, MANY = "/api/v1/drivers/d1/location", "/api/v1/drivers/locations"
APPS = ["/owntracks", "/osmand", "/overland", "/background-geolocation"]
DRIVER, GATEWAY = bearer(token("driver", "d1")), bearer(token("gateway", "shop"))
# Roles that may send no fix at all, and what they are told.
NO_SENDERS = {
    "nobody": ({}, 401),
    "tracker": (bearer(token("tracker", "o1")), 403),
    "operator": (bearer(token("operator", "ann")), 403),
}


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with valkey() as found:
        yield found


@pytest.fixture(scope="module")
def server(redis_server: AnyRedis) -> Iterator[IngestServer]:
    with ingest(REDIS_URL=redis_server.url, **AUTH) as running:
        wait_until(lambda: httpx.get(f"{running.url}/health").status_code == 200)
        yield running


@pytest.fixture
def api(server: IngestServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10) as client:
        yield client


def head(path: str, length: int, headers: dict[str, str]) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n{''.join(lines)}\r\n"
    ).encode()


def test_who_may_not_send_is_told_without_a_body(server: IngestServer) -> None:
    """A tracking link made ingest read, decode and judge 1 MiB before it was refused."""
    asked = [(path, *who) for path in (LOCATION, MANY, *APPS) for who in NO_SENDERS.values()]
    with contextlib.ExitStack() as stack:
        answers = []
        for path, headers, status in asked:
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            # The body never comes.
            stack.enter_context(sock).sendall(head(path, 900_000, headers))
            answers.append((sock, status))
        for sock, status in answers:
            answer = sock.recv(65_536).lower()
            assert answer.startswith(b"http/1.1 %d " % status)
            # What might still come is no request.
            assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("length", [100, 70_000, 900_000])
def test_a_refused_body_is_read_and_its_connection_kept(server: IngestServer, length: int) -> None:
    """The connection was closed unsaid, and behind a proxy another client's fix got 503."""
    refused = head(MANY, length, {}) + b" " * length
    body = b'{"latitude":1,"longitude":2}'
    good = head(LOCATION, len(body), DRIVER) + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        for request, status in ((refused, 401), (good, 202), (refused, 401), (good, 202)):
            sock.sendall(request)
            assert sock.recv(65_536).startswith(b"HTTP/1.1 %d " % status)


def test_a_refused_body_past_the_bound_ends_its_connection(server: IngestServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(head(MANY, 5_000_000, {}) + b" " * 1000)
        answer = sock.recv(65_536).lower()
        assert answer.startswith(b"http/1.1 401 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert sock.recv(65_536) == b""


@pytest.mark.parametrize(
    "item",
    [
        {**FIX, "driver_id": "d2"},
        {**BROKEN, "driver_id": "d2"},
        {**FIX, "driver_id": "d2", "recorded_at": "1999-01-01T00:00:00Z"},
        {"driver_id": "d2"},
        {**FIX, "driver_id": "d2", "order_id": 7},
    ],
)
@pytest.mark.parametrize("own", [[], [{**FIX, "driver_id": "d1"}], [{**BROKEN, "driver_id": "d1"}]])
def test_one_fix_of_anothers_driver_refuses_all(
    api: httpx.Client, redis_server: AnyRedis, item: Any, own: list[Any]
) -> None:
    """A broken one did not: its neighbours were stored with 202."""
    streams = [keys.shard_keys("driver-locations", shard, 4).stream for shard in range(4)]
    with new_client(redis_server.url, decode=False) as store:
        before = [store.xlen(stream) for stream in streams]
        for fixes in ([item, *own], [*own, item]):
            assert api.post(MANY, json=fixes, headers=DRIVER).status_code == 403
        assert [store.xlen(stream) for stream in streams] == before


def test_a_broken_fix_that_names_nobody_refuses_itself_alone(api: httpx.Client) -> None:
    fixes = [{**FIX, "driver_id": "d1"}, FIX, {**FIX, "driver_id": "a b"}, 7]
    answer = api.post(MANY, json=fixes, headers=DRIVER)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 3)


def test_basic_is_asked_for_where_apps_need_it(api: httpx.Client) -> None:
    """OwnTracks sends its password only when it is asked; a browser would ask its user."""
    for path in APPS:
        offered = api.post(path, content=b"{}").headers["www-authenticate"]
        assert 'Basic realm="fleetline"' in offered
        assert "Bearer" in offered
    for path in (LOCATION, MANY):
        assert api.post(path, json=FIX).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x"])
def test_a_body_that_is_encoded_is_not_taken_for_what_it_is_not(
    api: httpx.Client, encoding: str
) -> None:
    """The apps' paths answered 200, and the phones dropped their queues."""
    headers = {**DRIVER, "content-type": "application/json", "content-encoding": encoding}
    for path in (LOCATION, MANY, *APPS):
        answer = api.post(path, content=b"{}", headers=headers)
        assert answer.status_code == 415
        assert answer.json()["type"] == "/problems/unsupported-media-type"
    headers["content-encoding"] = "identity"
    assert api.post(LOCATION, json=FIX, headers=headers).status_code == 202


def test_no_cache_may_keep_an_answer(api: httpx.Client) -> None:
    operator = bearer(token("operator", "ann"))
    asked = [
        ("GET", LOCATION), ("GET", "/api/v1/drivers/d1/route"), ("GET", "/api/v1/nowhere"),
        ("GET", "/api/v1/drivers/nearby?lat=1&lng=2"), ("GET", "/api/v1/orders/o1/location"),
        ("POST", "/api/v1/orders/o1/tracking-token"), ("POST", "/api/v1/orders/o1/complete"),
        ("POST", LOCATION), ("POST", MANY), ("GET", "/health"), ("GET", "/health/live"),
    ]  # fmt: skip
    for method, path in asked:
        for headers in ({}, operator, GATEWAY):
            answer = api.request(method, path, json=FIX, headers=headers)
            assert answer.headers["cache-control"] == "no-store", (method, path)


def test_a_slash_at_the_end_says_nothing(api: httpx.Client) -> None:
    assert api.post(f"{LOCATION}/", json=FIX, headers=DRIVER).status_code == 202
    batch = [{**FIX, "driver_id": "d1"}]
    assert api.post(f"{MANY}/", json=batch, headers=DRIVER).status_code == 202
    for path in APPS:
        assert api.post(f"{path}/", content=b"{}").status_code == 401
    assert api.get("/health/").status_code == 200


def test_a_malformed_revocation_holds_up_no_other(
    api: httpx.Client, redis_server: AnyRedis
) -> None:
    """One written by hand ended the reading: no revocation took effect until a restart."""
    ended, other = (bearer(token(jti=jti)) for jti in ("ended", "other"))
    assert api.post(LOCATION, json=FIX, headers=ended).status_code == 202
    with new_client(redis_server.url, decode=False) as store:
        malformed = {"sub:somebody": "2026-01-01", b"jti:\xff": b"\xff", "sub:x": ""}
        store.hset(keys.ACCESS_REVOKED, mapping={**malformed, "jti:ended": time.time()})
        store.incr(keys.ACCESS_VERSION)
    wait_until(lambda: api.post(LOCATION, json=FIX, headers=ended).status_code == 401, timeout_s=3)
    assert api.post(LOCATION, json=FIX, headers=other).status_code == 202
