"""What the port of metrics answers, and that a slow caller holds up nobody."""

import asyncio
import contextlib
import selectors
import socket

import pytest
import structlog
import uvloop

from common.access.local_rule import LocalRule
from common.metrics import role
from common.metrics.door import CONNECTIONS_MAX, MetricsDoor
from common.metrics.names.insight import INSIGHT_FIXES
from common.metrics.request import answer
from common.metrics.role import RoleMetrics
from tests.servers import free_port
from tests.wait import wait_until


def render(accept):
    return f"numbers for {accept}\n".encode(), "text/x"


@pytest.mark.parametrize(
    ("head", "status", "body"),
    [
        ("GET /metrics HTTP/1.1\r\nHost: localhost:1\r\nAccept: a/b", 200, "numbers for a/b\n"),
        ("GET /metrics?x=1 HTTP/1.0", 200, "numbers for \n"),
        ("HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1", 200, ""),
        ("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1", 405, "Method Not Allowed\n"),
        ("GET / HTTP/1.1\r\nHost: [::1]:8020", 404, "Not Found\n"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example", 403, "Forbidden\n"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x.y", 403, "Forbidden\n"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site", 403, "Forbidden\n"),
        ("GET /metrics", 400, "Bad Request\n"),
        ("", 400, "Bad Request\n"),
        ("\xff\x00 \xff HTTP/2", 400, "Bad Request\n"),
    ],
)
def test_answers(head, status, body):
    said = answer(head.encode("latin-1"), render, LocalRule()).decode()
    top, _, text = said.partition("\r\n\r\n")
    assert top.startswith(f"HTTP/1.1 {status} ")
    assert text == body


def test_a_name_of_another_machine_is_answered_where_the_port_is_for_others():
    head = b"GET /metrics HTTP/1.1\r\nHost: ingest.fleet.example:8020"
    assert answer(head, render, None).startswith(b"HTTP/1.1 200 OK\r\n")


@contextlib.contextmanager
def open_door(page=b"x" * 4_000_000):
    door, port = MetricsDoor(lambda _: page, 100), free_port()
    door.open("127.0.0.1", port)
    try:
        yield door, lambda: socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        door.close()


def turn_until(door, condition):
    with selectors.DefaultSelector() as outer:
        outer.register(door, selectors.EVENT_READ)

        def turned():
            outer.select(0.01)
            door.turn()
            return condition()

        wait_until(turned)


def read_all(door, sock):
    sock.setblocking(False)
    parts = []

    def done():
        with contextlib.suppress(BlockingIOError):
            part = sock.recv(1_000_000)
            parts.append(part)
            return not part
        return False

    turn_until(door, done)
    return b"".join(parts)


def test_a_long_answer_goes_out_in_steps():
    with open_door() as (door, call), call() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(door, sock) == b"x" * 4_000_000


def test_callers_that_say_nothing_shut_nobody_out():
    with open_door(b"ok") as (door, call), contextlib.ExitStack() as stack:
        silent = []
        for _ in range(CONNECTIONS_MAX + 3):
            silent.append(stack.enter_context(call()))
            door.turn()
        with call() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_all(door, sock) == b"ok"
        # The first to come had to go.
        assert read_all(door, silent[0]) == b""


def test_a_head_without_end_and_a_caller_that_goes_are_dropped():
    with open_door(b"ok") as (door, call):
        with call() as sock:
            sock.sendall(b"x" * 200)
            assert read_all(door, sock) == b""
        gone = call()
        gone.sendall(b"GET /")
        gone.close()
        with call() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_all(door, sock) == b"ok"


class LoopbackSettings:
    metrics_host = "127.0.0.1"

    def __init__(self):
        self.metrics_port = free_port()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_role_with_an_event_loop_answers_at_once(run, monkeypatch):
    """Not with the next of its turns, which would come in an hour."""
    monkeypatch.setattr(role, "TURN_EVERY_S", 3600.0)
    settings = LoopbackSettings()
    metrics = RoleMetrics("insight", settings, lambda snapshot: snapshot.put(INSIGHT_FIXES, 7))

    async def main():
        serving = asyncio.create_task(metrics.run())
        await asyncio.wait((serving,), timeout=0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.metrics_port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            text = await reader.read()
        writer.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return text.decode()

    text = run(main())
    assert "fleetline_insight_fixes_total 7.0" in text
    assert 'fleetline_process_up{process="insight"} 1.0' in text


def test_a_port_that_is_taken_costs_the_numbers_alone_and_only_for_a_while(monkeypatch):
    settings = LoopbackSettings()
    with socket.create_server(("127.0.0.1", settings.metrics_port)):
        metrics = RoleMetrics("insight", settings)
        with structlog.testing.capture_logs() as lines:
            metrics.turn()
            metrics.turn()
    assert [line["event"] for line in lines] == ["metrics.port_taken"]
    monkeypatch.setattr(metrics, "_open_at_s", 0.0)
    metrics.turn()
    with socket.create_connection(("127.0.0.1", settings.metrics_port)):
        metrics.close()


def test_a_fault_in_counting_is_an_answer_and_a_line():
    def fail(snapshot):
        raise RuntimeError("a bug")

    settings = LoopbackSettings()
    metrics = RoleMetrics("insight", settings, fail)
    metrics.turn()
    try:
        with (
            structlog.testing.capture_logs() as lines,
            socket.create_connection(("127.0.0.1", settings.metrics_port), timeout=5) as sock,
        ):
            sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert read_all(metrics, sock).startswith(b"HTTP/1.1 500 ")
        assert [line["event"] for line in lines] == ["metrics.failed"]
    finally:
        metrics.close()
