"""What the front door answers by itself is as well-formed as what stands behind it."""

import json
import socket
import string
import time
import urllib.request

import pytest

from tests.clients.raw_http import exchange, request
from tests.freezing import family, frozen
from tests.stack import Stack

SOCKET = "/api/v1/drivers/orders/o/driver-location"
LOCATION = "/api/v1/drivers/d/location"


def with_header(name: str, value: str, target: str = "/health/live") -> bytes:
    return request("GET", target, {name: value})


def many_headers(count: int, target: str = "/health/live") -> bytes:
    return request("GET", target, {f"X-{n}": "1" for n in range(count)})


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("GET", "/api/v1/drivers/%00/location"), 400),
        (request("GET", "/api/v1/drivers/%zz/route"), 400),
        (request("GET", "/track/%00"), 400),
        (request("GET", "/../../etc/passwd"), 400),
        (request("GET", b"/api/v1/drivers/\xc3\xa9/location"), 400),
        # Granian refused these two with an empty body.
        (request("GET", "/api/v1/drivers/<d>/location"), 400),
        (request("GET", '/health?a="'), 400),
        (request("GET", "/.error/not-found?<"), 404),
        (request("GET", "/map", {"If-Match": '"x"'}), 400),
        (request("GET", "/", {"Host": "a b"}), 400),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (request("POST", "/osmand", {"Transfer-Encoding": "chunked"}, b"zz\r\nx\r\n"), 400),
        # nginx said these as HTML.
        (request("GET", "/assets/x.js"), 404),
        (request("GET", "/assets/"), 404),
        (request("GET", "/.error/not-found"), 404),
        (request("GET", "/" + "x" * 70_000), 414),
        (request("TRACE", "/api/v1/drivers/locations"), 405),
        (request("POST", "/map"), 405),
        (request("POST", SOCKET), 405),
        (request("DELETE", "/api/v1/fleet/live"), 405),
        (request("POST", "/nowhere", length=100_000), 413),
        (request("POST", "/osmand?token=t", length=9_000_000), 413),
        # Granian's answer to so many headers was empty; the fan-out hung up on so many bytes.
        (many_headers(95), 431),
        (many_headers(95, SOCKET), 431),
        (with_header("Cookie", "c" * 20_000), 431),
        (with_header("Cookie", "c" * 20_000, SOCKET), 431),
        (request("POST", "/osmand", {"Transfer-Encoding": "gzip"}), 501),
        (request("GET", "/", version="HTTP/2.0"), 501),
    ],
)
def test_odd_requests_are_refused_with_a_problem(stack: Stack, raw: bytes, status: int) -> None:
    reply = exchange(stack.port, raw)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    problem = json.loads(reply.body)
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert status != 405 or "get" in reply.headers["allow"]


def test_no_character_of_an_address_makes_an_empty_answer(stack: Stack) -> None:
    for char in set(string.punctuation) - {"%"}:
        for target in (f"/api/v1/drivers/a{char}b/location", f"/nowhere?a={char}b"):
            reply = exchange(stack.port, request("GET", target))
            assert reply.status in (400, 404, 422), target
            assert reply.headers["content-type"] == "application/problem+json", target


@pytest.mark.parametrize(
    "target",
    [
        "/health", "/health/gateway", "/docs", "/openapi.json", "/map", "/assets/config.json",
        "/nowhere", "/api/v1/drivers/none/location", "/api/v1/drivers/%00/route", SOCKET,
    ],
)  # fmt: skip
def test_every_answer_has_its_security_headers_once(stack: Stack, target: str) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as sock:
        sock.sendall(request("GET", target))
        head = sock.makefile("rb").read().lower().partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nx-content-type-options: nosniff") == 1
    assert head.count(b"\r\nreferrer-policy: no-referrer") == 1
    # What ingest and fan-out say of caches passes as it is.
    assert head.count(b"\r\ncache-control:") <= 1


@pytest.mark.parametrize("target", ["/health/live", SOCKET])
def test_a_shops_cookies_stay_at_the_door(stack: Stack, target: str) -> None:
    # Pages and sockets of an order live on a shop's host, whose cookies come along.
    reply = exchange(stack.port, with_header("Cookie", "c" * 15_000, target))
    assert reply.status in (200, 426)


SLASHES = [
    "/health", "/health/live", "/health/gateway", "/map", "/track/o", "/track/an%20order",
    "/api/v1/drivers/d/route", "/api/v1/drivers/d/location", "/api/v1/orders/o/location",
    "/osmand", "/owntracks", SOCKET, "/api/v1/fleet/live?bbox=0,0,1,1", "/api/v1/events/live",
    "/api/v1/events",
]  # fmt: skip


@pytest.mark.parametrize("target", SLASHES)
def test_slashes_at_either_end_say_nothing(stack: Stack, target: str) -> None:
    # A base URL that ends in one, and a path typed into a phone.
    path, mark, query = target.partition("?")
    plain = exchange(stack.port, request("GET", target))
    for variant in (f"{path}/", f"/{path}", f"//{path}/"):
        reply = exchange(stack.port, request("GET", f"{variant}{mark}{query}"))
        assert reply.status == plain.status, variant
        assert reply.headers["content-type"] == plain.headers["content-type"], variant


def test_http_1_0_is_spoken(stack: Stack) -> None:
    for port in (stack.port, stack.port + 8):
        reply = exchange(port, request("GET", "/health/live", version="HTTP/1.0"))
        assert (reply.status, json.loads(reply.body)["status"]) == (200, "ok")


def test_a_broken_chunked_body_is_a_bad_request(stack: Stack) -> None:
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    broken = request("POST", LOCATION, headers, b"zz\r\nx\r\n0\r\n\r\n")
    for port in (stack.port, stack.port + 8):
        reply = exchange(port, broken)
        assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(reply.body)["title"] == "Bad Request"


def test_an_ingest_that_hangs_is_said_in_time(stack: Stack) -> None:
    # Ingest takes a second slash too.
    headers, fix = {"Content-Type": "application/json"}, b'{"latitude":1,"longitude":2}'
    posts = [request("POST", start + LOCATION, headers, fix) for start in ("", "/")]
    with frozen(*family(stack.pid("ingest"))):
        for raw, most_s in ((posts[0], 2.0), (posts[1], 2.0), (request("GET", "/health"), 1.0)):
            asked_at = time.monotonic()
            reply = exchange(stack.port, raw)
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert json.loads(reply.body)["type"] == "/problems/not-running"
            assert time.monotonic() - asked_at < most_s + 0.5


def test_headers_of_pages_and_assets(stack: Stack) -> None:
    def headers(path: str):
        with urllib.request.urlopen(stack.url + path, timeout=5) as answer:
            return answer.headers, answer.read().decode()

    for path, frames in (("/track/any", "'self'"), ("/map", "'none'")):
        found, html = headers(path)
        assert f"frame-ancestors {frames}" in found["Content-Security-Policy"]
        assert "script-src 'self';" in found["Content-Security-Policy"]
        assert found["X-Content-Type-Options"] == "nosniff"
        assert found["Referrer-Policy"] == "no-referrer"
        assert found["Cache-Control"] == "no-cache"
        script = html.partition('<script src="')[2].partition('"')[0]
        kept, _ = headers(script)
        assert "immutable" in kept["Cache-Control"]
        assert kept["Content-Type"].startswith("text/javascript")
