"""What the front door answers by itself is as well-formed as what stands behind it."""

import json
import os
import signal
import socket
import time

import pytest


def exchange(port, request, timeout_s=5.0):
    """Send raw bytes; status, headers (lower case) and body of the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        sock.sendall(request)
        answer = b""
        while data := sock.recv(65_536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, body


def get(target, method=b"GET", version=b"HTTP/1.1"):
    return (
        method
        + b" "
        + target
        + b" "
        + version
        + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get(b"/api/v1/drivers/%00/location"), 400),
        (get(b"/api/v1/drivers/%zz/route"), 400),
        (get(b"/track/%00"), 400),
        (get(b"/../../etc/passwd"), 400),
        (get(b"/api/v1/drivers/\xc3\xa9/location"), 400),
        (get(b"/" + b"x" * 70_000), 414),
        (get(b"/api/v1/drivers/locations", b"TRACE"), 405),
        (get(b"/api/v1/drivers/orders/o/driver-location", b"POST"), 405),
        (get(b"/api/v1/fleet/live", b"DELETE"), 405),
    ],
)
def test_odd_requests_are_refused_with_a_problem(stack, request_bytes, status):
    found, headers, body = exchange(stack.port, request_bytes)
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status
    assert status != 405 or "get" in headers["allow"]


@pytest.mark.parametrize(
    "target",
    [
        b"/health", b"/health/gateway", b"/docs", b"/openapi.json", b"/map", b"/assets/config.json",
        b"/nowhere", b"/api/v1/drivers/none/location", b"/api/v1/drivers/%00/route",
        b"/api/v1/drivers/orders/o/driver-location",
    ],
)  # fmt: skip
def test_every_answer_forbids_guessing_its_type_once(stack, target):
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as sock:
        sock.sendall(get(target))
        head = sock.makefile("rb").read().lower().partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nx-content-type-options: nosniff") == 1
    assert head.count(b"\r\nreferrer-policy:") <= 1


def test_http_1_0_is_spoken(stack):
    for port in (stack.port, stack.port + 8):
        found, _, body = exchange(port, get(b"/health/live", version=b"HTTP/1.0"))
        assert (found, json.loads(body)["status"]) == (200, "ok")


def test_a_broken_chunked_body_is_a_bad_request(stack):
    broken = (
        b"POST /api/v1/drivers/d/location HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n"
    )
    for port in (stack.port, stack.port + 8):
        found, headers, body = exchange(port, broken)
        assert (found, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["title"] == "Bad Request"


def post(path):
    fix = b'{"latitude":1,"longitude":2}'
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (path, len(fix), fix)
    )


def test_an_ingest_that_hangs_is_said_in_time(stack):
    # Ingest takes a second slash too.
    posts = [post(start + b"/api/v1/drivers/d/location") for start in (b"", b"/")]
    frozen = [stack.pid("ingest"), *children(stack.pid("ingest"))]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        for request, most_s in ((posts[0], 2.0), (posts[1], 2.0), (get(b"/health"), 1.0)):
            asked_at = time.monotonic()
            found, headers, _ = exchange(stack.port, request)
            assert (found, headers["retry-after"]) == (503, "1")
            assert time.monotonic() - asked_at < most_s + 0.5
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def children(pid):
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
