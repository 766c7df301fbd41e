"""What the port of metrics answers, and that a slow caller holds up nobody."""

import contextlib
import selectors
import socket

import pytest

from common.access.local_rule import LocalRule
from common.metrics.door import CONNECTIONS_MAX, MetricsDoor
from common.metrics.request import answer
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
