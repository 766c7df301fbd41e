"""An open stack on somebody's machine, and a web page of somebody else in its browser."""

import json

import pytest

from tests.clients.raw_http import exchange, request
from tests.stack import Stack

JSON = {"Content-Type": "application/json"}
FIX = b'{"latitude": 1, "longitude": 2}'
LOCATION = "/api/v1/drivers/rebound/location"
ASKED = [
    request("GET", LOCATION),
    request("GET", "/api/v1/drivers/nearby?lat=1&lng=2"),
    request("GET", "/osmand?id=rebound&lat=1&lon=2"),
    request("POST", LOCATION, JSON, FIX),
    request("POST", "/api/v1/orders/o1/complete"),
    request("GET", "/health"),
]
FOREIGN = [
    {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
    {"Host": "evil.example:{port}"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
]


def with_headers(raw: bytes, headers: dict[str, str], port: int) -> bytes:
    """`raw` with `headers` in place of its own Host, or beside it."""
    lines = [f"{name}: {value.format(port=port)}\r\n" for name, value in headers.items()]
    if "Host" in headers:
        raw = raw.replace(b"Host: localhost\r\n", b"")
    head, _, rest = raw.partition(b"\r\n")
    return head + b"\r\n" + "".join(lines).encode() + rest


@pytest.mark.parametrize("raw", ASKED)
def test_a_page_of_another_site_reads_nothing_and_writes_nothing(stack: Stack, raw: bytes) -> None:
    """By a name of its own that it points here, a page read all positions of this machine."""
    for headers in FOREIGN:
        reply = exchange(stack.port, with_headers(raw, headers, stack.port))
        assert reply.status == 403
        kind = json.loads(reply.body)["type"]
        assert kind in {"/problems/cross-site", "/problems/host-not-allowed"}
    assert exchange(stack.port, request("GET", LOCATION)).status == 404


def test_programs_and_the_stacks_own_pages_may_ask(stack: Stack) -> None:
    path = "/api/v1/drivers/own/location"
    own = {"Origin": f"http://localhost:{stack.port}", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, {"Host": f"127.0.0.1:{stack.port}"}):
        raw = request("POST", path, {**JSON, **headers}, FIX)
        assert exchange(stack.port, raw).status == 202
    raw = request("POST", path, {**JSON, **own, "Host": f"localhost:{stack.port}"}, FIX)
    assert exchange(stack.port, raw).status == 202
