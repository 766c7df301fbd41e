"""Bodies at the front door: those that never end, and those that are refused."""

import asyncio
import contextlib
import select
import socket
import time
from collections import Counter

import psutil
import pytest

from common.access.policy import Role
from ingest.apps.phone_apps import APPS
from tests.access import bearer, token
from tests.clients.raw_http import exchange, read_reply, request
from tests.stack import Stack
from tests.system.conftest import BODY_TIMEOUT_S

LOCATION, LOCATIONS = "/api/v1/drivers/d1/location", "/api/v1/drivers/locations"
JSON = {"Content-Type": "application/json"}
FIX = b'{"latitude": 1, "longitude": 2}'
BATCH = b'[{"driver_id": "d1", "latitude": 1, "longitude": 2}]'
# As large as a body may be.
LARGE_BYTES = 1_000_000
HALVES = (LOCATION, LOCATIONS, "/owntracks", "/nowhere")
HALF_BODIES = 200
# Each sends so often. No multiple of it is near the deadline: at that moment ingest hangs up.
BYTE_EVERY_S = BODY_TIMEOUT_S / 4.5
# nginx held a whole body's room for each half one: 100 MB of those that are large.
NGINX_GROWTH_BYTES_MAX = 64 * 2**20
# What the deadline may overshoot on a busy machine.
LATE_S = 5.0


def sender_headers() -> dict[str, str]:
    return {**JSON, **bearer(token(Role.GATEWAY, "shop"))}


def nginx_bytes(stack: Stack) -> int:
    workers = psutil.Process(stack.pid("gateway")).children()
    return sum(worker.memory_info().rss for worker in workers)


def half_body(path: str, headers: dict[str, str]) -> bytes:
    """A request whose last thousand bytes are missing."""
    size = LARGE_BYTES if path in (LOCATIONS, "/owntracks") else 10_000
    return request("POST", path, headers, b" " * (size - 1_000), length=size)


@pytest.mark.parametrize("known", [True, False])
def test_half_bodies_cost_little_and_end(closed_stack: Stack, known: bool) -> None:
    # A byte every few seconds kept each of them, and the room for all of it, for ever.
    headers = sender_headers() if known else JSON
    halves = {path: half_body(path, headers) for path in HALVES}
    before = nginx_bytes(closed_stack)
    statuses: dict[str, Counter[int]] = {path: Counter() for path in HALVES}
    with contextlib.ExitStack() as stack:
        waiting: dict[socket.socket, str] = {}
        next_byte_s: dict[socket.socket, float] = {}
        for path in [*HALVES] * (HALF_BODIES // len(HALVES)):
            sender = socket.create_connection(("127.0.0.1", closed_stack.port), timeout=10)
            waiting[stack.enter_context(sender)] = path
            sender.sendall(halves[path])
            next_byte_s[sender] = time.monotonic() + BYTE_EVERY_S
        grown, begun_s = 0, time.monotonic()
        while waiting and time.monotonic() - begun_s < BODY_TIMEOUT_S + LATE_S:
            answered, _, _ = select.select(list(waiting), [], [], 0.1)
            grown = max(grown, nginx_bytes(closed_stack) - before)
            for sender in answered:
                statuses[waiting.pop(sender)][read_reply(sender).status] += 1
            for sender in waiting:
                if time.monotonic() >= next_byte_s[sender]:
                    sender.send(b" ")
                    next_byte_s[sender] += BYTE_EVERY_S
        assert not waiting
    # One that meets ingest as it closes the connection behind the door is answered by the door.
    assert sum(found.pop(503, 0) for found in statuses.values()) <= HALF_BODIES / 10
    assert set(statuses.pop("/nowhere")) <= ({404, 408} if known else {401, 404, 408, 429})
    assert set().union(*statuses.values()) <= ({408} if known else {401, 408, 429})
    assert grown < NGINX_GROWTH_BYTES_MAX


@pytest.mark.parametrize("path", [LOCATIONS, *(app.path for app in APPS if not app.bytes_max)])
def test_large_bodies_pass_where_queues_come(closed_stack: Stack, path: str) -> None:
    raw = request("POST", path, sender_headers(), BATCH[:-1] + b" " * 200_000 + b"]")
    assert exchange(closed_stack.port, raw).status != 413
    assert exchange(closed_stack.port, raw.replace(b" HTTP/1.1", b"/ HTTP/1.1", 1)).status != 413


@pytest.mark.parametrize("split", [0, 10])
def test_a_body_behind_its_head_is_one_request(closed_stack: Stack, split: int) -> None:
    raw = request("POST", LOCATION, sender_headers(), FIX)
    at = raw.index(b"\r\n\r\n") + 4 + split
    with socket.create_connection(("127.0.0.1", closed_stack.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(raw[:at])
        select.select([sock], [], [], 0.05)
        sock.sendall(raw[at:])
        assert read_reply(sock).status == 202


async def _answer(port: int, raw: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("path", [LOCATIONS, "/osmand", "/owntracks"])
def test_refused_bodies_cut_nobody_off(closed_stack: Stack, path: str) -> None:
    """Beside phones whose tokens are over and whose queues are long, honest fixes are taken.

    Ingest hung up on a body that it did not read; nginx had handed that connection to somebody
    else by then, who got 503.
    """
    port = closed_stack.port
    # An hour ago: a phone that was forgotten.
    over = bearer(token(Role.DRIVER, "d1", exp=time.time() - 3600))
    refused = request("POST", path, {**JSON, **over}, b" " * 900_000)
    honest = request("POST", LOCATION, sender_headers(), FIX).replace(b"Connection: close\r\n", b"")

    async def forgotten(answers: Counter[int]) -> None:
        for _ in range(60):
            answers[await _answer(port, refused)] += 1

    async def phone(answers: Counter[int], over: asyncio.Event) -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while not over.is_set():
                writer.write(honest)
                head = await reader.readuntil(b"\r\n\r\n")
                answers[int(head.split()[1])] += 1
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length))
            writer.transport.abort()

    async def main() -> tuple[Counter[int], Counter[int]]:
        phones: Counter[int] = Counter()
        others: Counter[int] = Counter()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(phone(phones, over))
            async with asyncio.TaskGroup() as attackers:
                for _ in range(3):
                    attackers.create_task(forgotten(others))
            over.set()
        return phones, others

    phones, others = asyncio.run(main())
    assert set(phones) == {202}
    assert phones.total() > 100
    # All of this machine: not limited, and each hears why.
    assert set(others) == {401}
