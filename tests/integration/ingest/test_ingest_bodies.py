"""Whatever is sent: an answer of the contract, never a 500, never a hang, and nothing stored
that was refused.
"""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.keys import shard_keys
from common.redis.client import new_client
from common.stream.backlog import ADDED
from tests.servers.ingest_server import IngestServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ALLOWED = {202, 400, 404, 405, 408, 413, 415, 422}
JSON_TYPE = {"content-type": "application/json"}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([90, -90, 180.0, 1e400, 1e308, -0.0, 2**63, 10**40, "2026-01-01T00:00:00Z"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3),
    max_leaves=6,
)
FIELDS = ("speed", "heading", "accuracy", "order_id", "recorded_at", "altitude", "battery", "x")
FIXES = st.fixed_dictionaries(
    {
        "driver_id": st.sampled_from(["d1", "d2"]) | VALUES,
        "latitude": st.floats(-90, 90) | VALUES,
        "longitude": st.floats(-180, 180) | VALUES,
    },
    optional=dict.fromkeys(FIELDS, VALUES),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(lambda v: json.dumps(v).encode()),
    FIXES.map(lambda v: json.dumps(v).encode()),
    FIXES.map(lambda v: json.dumps(v).encode()[:-3]),
)
BATCHES = st.one_of(
    st.binary(max_size=200),
    st.lists(FIXES | VALUES, max_size=5).map(lambda v: json.dumps(v).encode()),
    st.lists(FIXES, max_size=5).map(lambda v: json.dumps({"locations": v}).encode()),
)


@pytest.fixture
def store(redis_session: AnyRedis) -> Iterator[Any]:
    with new_client(redis_session.url, decode=False) as client:
        yield client


@pytest.fixture
def port(ingest_session: IngestServer, session_api: httpx.Client) -> int:
    wait_until(lambda: session_api.get("/health").status_code == 200)
    return ingest_session.port


def added(store: Any) -> int:
    """Fixes that were added, by the total that stands behind each entry."""
    counts = (shard_keys("driver-locations", shard, 4).counts for shard in range(4))
    return sum(int(store.hget(key, ADDED) or 0) for key in counts)


def check(answer: httpx.Response) -> None:
    assert answer.status_code in ALLOWED | {200}, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@FUZZ
@given(body=BODIES)
def test_any_body_of_one(session_api: httpx.Client, port: int, store: Any, body: bytes) -> None:
    before = added(store)
    answer = session_api.post("/api/v1/drivers/d/location", content=body, headers=JSON_TYPE)
    check(answer)
    assert added(store) - before == (answer.status_code == 202)


@FUZZ
@given(body=BATCHES)
def test_any_body_of_many(session_api: httpx.Client, port: int, store: Any, body: bytes) -> None:
    before = added(store)
    answer = session_api.post("/api/v1/drivers/locations", content=body, headers=JSON_TYPE)
    check(answer)
    taken = answer.json()["accepted"] if answer.status_code == 202 else 0
    assert added(store) - before == taken


@FUZZ
@given(
    parts=st.lists(st.text(max_size=70), min_size=1, max_size=4),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH"]),
    query=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_any_path(
    session_api: httpx.Client,
    port: int,
    parts: list[str],
    method: str,
    query: dict[str, str],
) -> None:
    rest = "/".join(quote(part, safe="") for part in parts)
    for path in (
        f"/api/v1/drivers/{rest}/location",
        f"/api/v1/orders/{rest}/complete",
        f"/x{rest}",
    ):
        answer = session_api.request(method, path, params=query)
        if method == "HEAD":
            assert answer.status_code < 500
        else:
            check(answer)


@FUZZ
@given(
    query=st.dictionaries(
        st.sampled_from(["lat", "lng", "radius", "limit"]),
        st.text(max_size=8) | st.floats().map(str) | st.integers().map(str),
        max_size=4,
    )
)
def test_any_question_for_the_nearest(
    session_api: httpx.Client, port: int, query: dict[str, str]
) -> None:
    check(session_api.get("/api/v1/drivers/nearby", params=query))


@FUZZ
@given(
    name=st.sampled_from(
        ["content-type", "accept", "cookie", "range", "if-none-match", "host", "x-forwarded-for"]
    ),
    value=st.binary(max_size=40).map(lambda b: b.translate(None, b"\0\r\n")),
)
def test_any_header(session_api: httpx.Client, port: int, name: str, value: bytes) -> None:
    body = b'{"latitude":1,"longitude":2}'
    answer = exchange(
        port,
        b"POST /api/v1/drivers/d/location HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        b"content-length: %d\r\n%b: %b\r\n\r\n%b" % (len(body), name.encode(), value, body),
    )
    status = int(answer.split(b" ", 2)[1])
    # A second Host is one that this machine does not have.
    assert status in ALLOWED | ({403} if name == "host" else set())


def exchange(port: int, *parts: bytes, timeout_s: float = 5.0) -> bytes:
    """Send parts on a socket of its own and read until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
        return answer


HEAD = (
    b"POST /api/v1/drivers/d/location HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\n"
)


@pytest.mark.parametrize("sent", [b"", b'{"latitude":1'])
def test_a_body_that_does_not_come_is_408_at_its_deadline(port: int, sent: bytes) -> None:
    begin = time.monotonic()
    answer = exchange(port, HEAD + b"content-length: 28\r\n\r\n" + sent)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    # The tests' ingest has BODY_TIMEOUT_S=1; it is looked for every half second.
    assert 0.9 < time.monotonic() - begin < 3


def test_a_client_that_leaves_in_its_body_leaves_nothing(port: int, store: Any) -> None:
    before = added(store)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(HEAD + b'content-length: 28\r\n\r\n{"latitude":1')
    answer = exchange(
        port, HEAD + b'connection: close\r\ncontent-length: 28\r\n\r\n{"latitude":1,"longitude":2}'
    )
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert added(store) == before + 1


def test_pipelined_requests_are_all_answered(port: int, store: Any) -> None:
    before = added(store)
    one = HEAD + b'content-length: 28\r\n\r\n{"latitude":1,"longitude":2}'
    last = one.replace(b"host: localhost", b"host: localhost\r\nconnection: close")
    answer = exchange(port, one * 20 + last)
    assert answer.count(b"HTTP/1.1 202 ") == 21
    assert added(store) == before + 21


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("path", ["/api/v1/drivers/d/location", "/api/v1/drivers/locations"])
def test_a_body_that_is_not_utf_8_is_no_json(
    session_api: httpx.Client, port: int, path: str, media_type: str
) -> None:
    # What broke: what reads JSON skips what it does not know, and never looks at its bytes. The
    # first media type is the one of the fast path.
    fix = b'[{"driver_id":"d","latitude":1,"longitude":2,"x":"%b"}]'
    for text, status in ((b"\xff", 400), (b"\xed\xa0\x80", 400), ("ü€".encode(), 202)):
        body = fix % text if path.endswith("s") else fix[1:-1] % text
        answer = session_api.post(path, content=body, headers={"content-type": media_type})
        check(answer)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["type"] == "/problems/malformed-request"


@pytest.mark.parametrize(
    ("encoding", "status"), [("", 202), ("identity", 202), ("Identity", 202), ("gzip", 415)]
)
def test_no_encoding_is_one_that_says_nothing(
    session_api: httpx.Client, port: int, encoding: str, status: int
) -> None:
    fix = {"latitude": 1, "longitude": 2}
    headers = {"content-encoding": encoding}
    answer = session_api.post("/api/v1/drivers/d/location", json=fix, headers=headers)
    assert answer.status_code == status
