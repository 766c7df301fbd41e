"""Every endpoint, every role, one's own and others': exactly the allowed cells pass."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import redis

from common import keys
from common.access.policy import Role
from deploy.tools.access.store import AccessStore
from tests.access import AUTH, OLD_SECRET, bearer, claims, token
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.wait import wait_until

FIX = {"latitude": 1.0, "longitude": 2.0}
WEBHOOK = {"url": "https://shop.example/hook", "events": ["order.delivered"]}
EVERYBODY = {"driver", "gateway", "operator", "tracker", "nobody"}
MINE, THEIRS = "own", "others"
FENCE = {"name": "f", "geometry": {"type": "Point", "coordinates": [1, 2]}, "radius_m": 9}
FEATURE = {
    "type": "Feature",
    "id": "f",
    "properties": {"radius_m": 9},
    "geometry": FENCE["geometry"],
}
FEATURES = {"type": "FeatureCollection", "features": [FEATURE]}
BACKENDS = {"gateway", "operator"}
# (method, path, body, who may on their own, who may on others'). Own: driver d1, order o1.
ENDPOINTS: list[tuple[str, str, Any, set[str], set[str]]] = [
    ("POST", "/api/v1/drivers/{d}/location", FIX, {"driver", "gateway"}, {"gateway"}),
    ("POST", "/api/v1/drivers/locations", "batch", {"driver", "gateway"}, {"gateway"}),
    ("POST", "/api/v1/drivers/locations", "mixed", {"gateway"}, {"gateway"}),
    ("GET", "/api/v1/drivers/{d}/location", None, {"driver", "operator"}, {"operator"}),
    ("HEAD", "/api/v1/drivers/{d}/location", None, {"driver", "operator"}, {"operator"}),
    ("GET", "/api/v1/drivers/{d}/route", None, {"driver", "operator"}, {"operator"}),
    ("GET", "/api/v1/drivers/nearby?lat=1&lng=2", None, {"operator"}, {"operator"}),
    (
        "GET", "/api/v1/orders/{o}/location", None,
        {"gateway", "operator", "tracker"}, {"gateway", "operator"},
    ),
    ("GET", "/api/v1/orders", None, {"operator"}, {"operator"}),
    ("PUT", "/api/v1/orders/{o}", {}, {"gateway"}, {"gateway"}),
    (
        "GET", "/api/v1/orders/{o}", None,
        {"gateway", "operator", "tracker"}, {"gateway", "operator"},
    ),
    (
        "GET", "/api/v1/orders/{o}/journey", None,
        {"gateway", "operator", "tracker"}, {"gateway", "operator"},
    ),
    (
        "GET", "/api/v1/orders/{o}/arrival", None,
        {"gateway", "operator", "tracker"}, {"gateway", "operator"},
    ),
    ("GET", "/api/v1/fleet/arrivals/accuracy", None, {"operator"}, {"operator"}),
    ("POST", "/api/v1/orders/{o}/state", {"state": "arriving"}, {"gateway"}, {"gateway"}),
    ("GET", "/api/v1/fleet/deliveries", None, {"operator"}, {"operator"}),
    ("GET", "/api/v1/events", None, {"gateway", "operator"}, {"gateway", "operator"}),
    ("POST", "/api/v1/orders/{o}/tracking-token", None, {"gateway"}, {"gateway"}),
    ("POST", "/api/v1/orders/{o}/complete", None, {"gateway"}, {"gateway"}),
    *(
        (method, f"/api/v1/webhooks{path}", body, {"gateway", "operator"}, {"gateway", "operator"})
        for method, path, body in (
            ("GET", "", None),
            ("HEAD", "", None),
            ("PUT", "/shop", WEBHOOK),
            ("GET", "/shop", None),
            ("HEAD", "/shop", None),
            ("DELETE", "/shop", None),
            ("GET", "/shop/deliveries", None),
            ("HEAD", "/shop/deliveries", None),
            ("POST", "/shop/test", None),
            ("POST", "/shop/rotate-secret", None),
        )
    ),
    ("POST", "/api/v1/plans", {}, {"operator"}, {"operator"}),
    ("GET", "/api/v1/geofences", None, BACKENDS, BACKENDS),
    ("POST", "/api/v1/geofences/import", FEATURES, BACKENDS, BACKENDS),
    ("PUT", "/api/v1/geofences/f", FENCE, BACKENDS, BACKENDS),
    ("GET", "/api/v1/geofences/f", None, BACKENDS, BACKENDS),
    ("DELETE", "/api/v1/geofences/f", None, BACKENDS, BACKENDS),
    ("GET", "/api/v1/geofences/f/drivers", None, BACKENDS, BACKENDS),
    ("GET", "/health", None, EVERYBODY, EVERYBODY),
    ("GET", "/health/live", None, EVERYBODY, EVERYBODY),
]  # fmt: skip
CREDENTIALS = {
    "driver": bearer(token("driver", "d1")),
    "gateway": bearer(token("gateway", "shop")),
    "operator": bearer(token("operator", "ann")),
    "tracker": bearer(token("tracker", "o1")),
    "nobody": {},
}
CELLS = [
    pytest.param(
        (method, path, body, role, whose, role in allowed),
        id=f"{method} {path} {body} {role} {whose}",
    )
    for method, path, body, own, others in ENDPOINTS
    for whose, allowed in ((MINE, own), (THEIRS, others))
    for role in CREDENTIALS
]


@pytest.fixture(scope="module")
def redis_of_access() -> Iterator[RedisServer]:
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def server(redis_of_access: RedisServer) -> Iterator[IngestServer]:
    with ingest(REDIS_URL=redis_of_access.url, **AUTH) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: IngestServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10) as client:
        wait_until(lambda: client.get("/health").status_code == 200, what="ingest to accept")
        yield client


@pytest.fixture
def lists(redis_of_access: RedisServer) -> Iterator[AccessStore]:
    with redis.Redis(port=redis_of_access.port) as client:
        yield AccessStore(client)


def body_of(kind: Any, driver_id: str) -> Any:
    if kind == "batch":
        return [{**FIX, "driver_id": driver_id}]
    if kind == "mixed":
        # Only the second is somebody else's.
        return [{**FIX, "driver_id": "d1"}, {**FIX, "driver_id": "d2"}]
    return kind


@pytest.mark.parametrize("cell", CELLS)
def test_exactly_the_allowed_cells_pass(api: httpx.Client, cell: Any) -> None:
    method, path, body, role, whose, passes = cell
    driver_id, order_id = ("d1", "o1") if whose == MINE else ("d2", "o2")
    answer = api.request(
        method,
        path.format(d=driver_id, o=order_id),
        json=body_of(body, driver_id),
        headers=CREDENTIALS[role],
    )
    if passes:
        # 404: nothing known of it; 503: there is no database here. Neither is a refusal.
        assert answer.status_code in {200, 202, 404, 503}
        return
    assert answer.status_code == (401 if role == "nobody" else 403)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) == (role == "nobody")


def test_a_refused_batch_writes_nothing(api: httpx.Client, redis_of_access: RedisServer) -> None:
    with redis.Redis(port=redis_of_access.port) as store:
        streams = [keys.shard_keys("driver-locations", s, 4).stream for s in range(4)]
        before = [store.xlen(s) for s in streams]
        mixed = [{**FIX, "driver_id": d} for d in ("d1", "d1", "other", "d1")]
        answer = api.post("/api/v1/drivers/locations", json=mixed, headers=CREDENTIALS["driver"])
        assert answer.status_code == 403
        assert [store.xlen(s) for s in streams] == before


def test_health_tells_a_stranger_only_its_status(api: httpx.Client) -> None:
    for headers in ({}, bearer("nonsense"), CREDENTIALS["driver"]):
        assert set(api.get("/health", headers=headers).json()) == {"status"}
    assert "shards" in api.get("/health", headers=CREDENTIALS["operator"]).json()


def test_a_link_is_good_for_its_order_alone(api: httpx.Client) -> None:
    answer = api.post("/api/v1/orders/o7/tracking-token", headers=CREDENTIALS["gateway"])
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["url"].endswith(f"/track/o7#token={found['token']}")
    link = bearer(found["token"])
    assert api.get("/api/v1/orders/o7/location", headers=link).status_code == 404
    assert api.get("/api/v1/orders/o8/location", headers=link).status_code == 403


def test_the_older_secret_still_verifies_and_basic_carries_a_token(api: httpx.Client) -> None:
    import jwt

    older = jwt.encode(claims(), OLD_SECRET, algorithm="HS256")
    path = "/api/v1/drivers/d1/location"
    assert api.post(path, json=FIX, headers=bearer(older)).status_code == 202
    assert api.post(path, json=FIX, auth=("phone", token())).status_code == 202


def test_a_revoked_token_is_refused_within_two_seconds(
    api: httpx.Client, lists: AccessStore
) -> None:
    path = "/api/v1/drivers/d1/location"
    one, other = (bearer(token(jti=jti)) for jti in ("one", "other"))
    assert api.post(path, json=FIX, headers=one).status_code == 202
    lists.revoke("jti", "one")
    began = time.monotonic()
    wait_until(lambda: api.post(path, json=FIX, headers=one).status_code == 401, timeout_s=3)
    assert time.monotonic() - began < 2
    assert api.post(path, json=FIX, headers=other).status_code == 202


# What a token is revoked under, while its body comes.
SLOW: tuple[tuple[str, str, Any, str, str], ...] = (
    ("POST", "/api/v1/drivers/d1/location", FIX, "driver", "d1"),
    ("PUT", "/api/v1/orders/o1", {}, "gateway", "shop"),
    ("PUT", "/api/v1/webhooks/slow", WEBHOOK, "gateway", "shop"),
    ("PUT", "/api/v1/geofences/slow", FENCE, "gateway", "shop"),
)


def test_a_token_that_is_revoked_while_its_body_comes_is_refused(
    server: IngestServer, api: httpx.Client, lists: AccessStore
) -> None:
    # What broke: a webhook was made for a sender that had been shut out.
    left: list[tuple[socket.socket, bytes]] = []
    with contextlib.ExitStack() as sockets:
        for method, path, fields, role, subject in SLOW:
            credential = bearer(token(role, subject, jti=f"slow {path}"))["Authorization"]
            body = json.dumps(fields).encode()
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/json\r\nAuthorization: {credential}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            # Nothing of the body has come, and a part of it.
            for sent in (0, 1):
                sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
                left.append((sockets.enter_context(sock), body[sent:]))
                sock.sendall(head + body[:sent])
        began = time.monotonic()
        for _, path, _, role, subject in SLOW:
            jti = f"slow {path}"
            lists.revoke("jti", jti)
            headers = bearer(token(role, subject, jti=jti))
            wait_until(partial(is_refused, api, "/api/v1/drivers/d1/location", headers))
        # Who it is, is asked again of a body that took its time.
        wait_until(lambda: time.monotonic() - began > 1.2)
        for sock, rest in left:
            sock.sendall(rest)
            assert sock.recv(1000).startswith(b"HTTP/1.1 401")


def is_refused(api: httpx.Client, path: str, headers: dict[str, str]) -> bool:
    return api.get(path, headers=headers).status_code == 401


def test_revoking_a_subject_ends_what_was_issued_and_no_more(
    api: httpx.Client, lists: AccessStore
) -> None:
    path = "/api/v1/drivers/d9/location"
    before = bearer(token("driver", "d9"))
    assert api.post(path, json=FIX, headers=before).status_code == 202
    lists.revoke("sub", "d9")
    wait_until(lambda: api.post(path, json=FIX, headers=before).status_code == 401, timeout_s=3)
    assert api.post(path, json=FIX, headers=bearer(token("driver", "d9"))).status_code == 202


def test_a_key_works_until_it_is_revoked(api: httpx.Client, lists: AccessStore) -> None:
    key_id, text = lists.create_key(Role.GATEWAY, "shop", None)
    path = "/api/v1/drivers/any/location"
    wait_until(lambda: api.post(path, json=FIX, headers=bearer(text)).status_code == 202)
    assert api.post(path, json=FIX, headers=bearer(text[:-1] + "x")).status_code == 401
    assert lists.revoke_key(key_id)
    wait_until(
        lambda: api.post(path, json=FIX, headers=bearer(text)).status_code == 401, timeout_s=3
    )


def test_one_address_cannot_try_for_ever(api: httpx.Client) -> None:
    stranger = {"x-real-ip": "203.0.113.77"}
    path = "/api/v1/drivers/d1/location"
    found = [api.post(path, json=FIX, headers=stranger).status_code for _ in range(22)]
    assert found == [401] * 20 + [429] * 2
    answer = api.post(path, json=FIX, headers=stranger)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    # A good token of the same address is not held back: many phones share one.
    good = {**stranger, **CREDENTIALS["driver"]}
    assert api.post(path, json=FIX, headers=good).status_code == 202
