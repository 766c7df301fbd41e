"""A round of failures of every kind, with a token in each place where one may stand: no log of
any part holds it, nor any query string; and what strangers do makes no log grow.

nginx wrote the request line, token and all, beside each of these.
"""

import contextlib
import os
import signal
import socket
import ssl
from functools import partial
from pathlib import Path

import pytest

from common.access.policy import Role
from tests.access import bearer, token
from tests.clients.raw_http import exchange, request
from tests.freezing import family, frozen
from tests.stack import Stack, new_home
from tests.wait import wait_until

# Stands in every query, header value and body that is sent here.
MARK = "mark-of-a-secret"
SOCKET = "/api/v1/drivers/orders/o1/driver-location"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
JSON = {"Content-Type": "application/json"}
FLOOD = 300
# A few lines of a role that was frozen or killed; a flood is hundreds of them.
GROWTH_BYTES_MAX = 20_000


def queries(secret: str) -> list[bytes]:
    """Requests that fail, with the secret in the address."""
    ask = f"?token={secret}&q={MARK}"
    return [
        request("POST", f"/osmand{ask}", length=99_999_999),
        request("POST", f"/osmand{ask}", {"Transfer-Encoding": "chunked"}, b"zz\r\n"),
        request("POST", f"/osmand{ask}", {"Transfer-Encoding": "gzip"}),
        request("GET", f"/osmand{ask}&id=\x01<'\"%00"),
        request("GET", f"/osmand/{secret}{ask}&lat=1&lon=2&id=;DROP%20TABLE"),
        request("GET", f"{SOCKET}{ask}", {**UPGRADE, "X-Long": "x" * 20_000}),
        request("GET", f"{SOCKET}{ask}", {**UPGRADE, **{f"X-{n}": "x" * 9_000 for n in range(4)}}),
        request("GET", f"{SOCKET}{ask}", {**UPGRADE, "Sec-WebSocket-Key": MARK}),
        request("GET", f"/api/v1/fleet/live{ask}&bbox={MARK}", UPGRADE),
        request("GET", f"/{ask}{'x' * 70_000}"),
        request("TRACE", f"/map{ask}"),
        request("GET", f"/assets/%2e%2e/{ask}"),
        request("GET", f"/track/%00{ask}"),
        request("GET", f"/health{ask}", version="HTTP/3.3"),
    ]


def headers_and_bodies(secret: str) -> list[bytes]:
    """Requests that fail, with the secret in a header or in the body."""
    known, body = {**JSON, **bearer(secret)}, f'{{"{MARK}": "{secret}"'.encode()
    return [
        request("POST", "/api/v1/drivers/d1/location", known, body),
        request("POST", "/api/v1/drivers/locations", known, body * 20_000),
        request("POST", "/owntracks", {**known, "X-Limit-U": MARK}, body + b"}"),
        request("POST", "/background-geolocation", known, b"\xff\xfe" + body),
        request("GET", f"/api/v1/drivers/{MARK}\x7f/route", known),
        request("GET", "/health", {"Authorization": f"Basic {MARK}{secret}"}),
        request("GET", "/health", {"Authorization": f"Bearer {secret}x", "Cookie": f"a={secret}"}),
        request("GET", "/health", {"Host": f"{MARK} {secret}"}),
        request("GET", "/health", {"Bad Name": secret}),
        f"GET {secret}{MARK}\r\n\r\n".encode(),
    ]


def send(stack: Stack, raws: list[bytes]) -> None:
    for raw in raws:
        # Some are cut off without a word, which is an answer too.
        with contextlib.suppress(OSError):
            exchange(stack.port, raw, timeout_s=5)


def logs(stack: Stack) -> list[Path]:
    found = [path for path in (stack.home / "log").rglob("*") if path.is_file()]
    assert len(found) > 5
    return found


def test_no_log_holds_a_secret(closed_stack: Stack) -> None:
    secret = token(Role.DRIVER, "d1")
    raws = [*queries(secret), *headers_and_bodies(secret)]
    send(closed_stack, raws)
    # Upstreams that are late, and upstreams that are gone.
    ask = f"?token={secret}&q={MARK}"
    late = [
        request("POST", f"/osmand{ask}&lat=1&lon=2", bearer(secret)),
        request("GET", f"/api/v1/drivers/d1/location{ask}", bearer(secret)),
    ]
    with frozen(*family(closed_stack.pid("ingest"))):
        send(closed_stack, late)
    dead = [request("GET", f"{SOCKET}{ask}", UPGRADE), *late]
    for role in ("fanout", "ingest"):
        pid = closed_stack.pid(role)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        send(closed_stack, dead)
        wait_until(partial(_is_replaced, closed_stack, role, pid), timeout_s=20)
    # TLS at a door that speaks none, and half a handshake.
    with socket.create_connection(("127.0.0.1", closed_stack.port), timeout=5) as sock:
        context = ssl.create_default_context()
        with contextlib.suppress(OSError):
            context.wrap_socket(sock, server_hostname=MARK)
    for log in logs(closed_stack):
        text = log.read_text(errors="replace")
        for told in (secret, secret[-30:], MARK, "token="):
            assert told not in text, log


def test_a_flood_of_refused_requests_is_no_flood_of_lines(closed_stack: Stack) -> None:
    # 2 KB a request, 6 MB a second from one client.
    before = sum(log.stat().st_size for log in logs(closed_stack))
    raws = [*queries(MARK), *headers_and_bodies(MARK)]
    send(closed_stack, raws * (FLOOD // len(raws)))
    assert sum(log.stat().st_size for log in logs(closed_stack)) - before < GROWTH_BYTES_MAX


def test_a_start_that_fails_is_still_said(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    bad = {"TLS_CERT": str(tmp_path / "bad.pem"), "TLS_KEY": str(tmp_path / "bad.pem")}
    with new_home() as home, pytest.raises(RuntimeError, match="cannot load certificate"):
        Stack(home, "--roles", "", extra=bad).start()


def _is_replaced(stack: Stack, role: str, pid: int) -> bool:
    return stack.pid(role) not in (pid, None)
