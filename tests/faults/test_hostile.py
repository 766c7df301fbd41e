"""Hostile and idle clients at the front door and at ingest itself: others do not notice."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from deploy.stack.wiring import OFFSETS
from tests.faults.caller import Caller
from tests.faults.test_stack import now
from tests.stack import Stack, within
from tests.wait import pace, wait_until

SLOW_HEADERS = 100
HALF_BODIES = 50
IDLE = 10_000
# With fewer the test shows nothing.
IDLE_MIN = 500
# Opened at a time: more than a listener's queue holds would be dropped, and tried again late.
OPENED_TOGETHER = 250
# Files of the test itself and of the servers beside those connections.
OTHER_FILES = 500
# Of one request, beside a noisy machine.
SLOWEST_S = 1.0
GROWTH_BYTES_MAX = 100 * 1_048_576
POST = (
    "POST /api/v1/drivers/h/location HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\n"
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def ports(stack: Stack) -> tuple[int, int]:
    return stack.port, stack.port + OFFSETS["ingest_port"]


@contextlib.asynccontextmanager
async def connections(port: int, count: int, first: bytes) -> AsyncIterator[list[Streams]]:
    opened: list[Streams] = []
    try:
        while len(opened) < count:
            together = min(OPENED_TOGETHER, count - len(opened))
            opening = [asyncio.open_connection("127.0.0.1", port) for _ in range(together)]
            some = await asyncio.gather(*opening)
            opened += some
            for _, writer in some:
                writer.write(first)
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def latencies(port: int, count: int = 100) -> list[float]:
    """Of good requests, in seconds, sorted. All of them must be taken."""
    caller = Caller(port)
    found = []
    for _ in range(count):
        body = {"latitude": 1.0, "longitude": 2.0, "recorded_at": now()}
        answer = await caller.post("/api/v1/drivers/normal/location", body)
        assert answer is not None
        assert answer.status == 202
        found.append(answer.took_s)
    caller.close()
    return sorted(found)


def memory(stack: Stack) -> int:
    """Bytes of ingest and the front door."""
    total = 0
    for role in ("ingest", "gateway"):
        parent = psutil.Process(stack.pid(role))
        total += sum(p.memory_info().rss for p in (parent, *parent.children()))
    return total


async def send_without_end(port: int) -> int:
    """64 MB in chunks; how many MB were taken before it was refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"100000\r\n" + b"x" * 1_048_576 + b"\r\n"
    answer = asyncio.create_task(reader.readline())
    sent = 0
    try:
        async with asyncio.timeout(10):
            while sent < 64 and not answer.done():
                writer.write(chunk)
                await writer.drain()
                # Draining waits only for room: the answer must be heard, too.
                await pace(0)
                sent += 1
    except OSError:
        pass
    finally:
        writer.transport.abort()
        await asyncio.gather(answer, return_exceptions=True)
    return sent


async def refused(port: int, body: bytes, *headers: str) -> int:
    """Status of the answer to a body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = "".join(f"{header}\r\n" for header in headers)
    writer.write(f"{POST}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(5):
        status = int((await reader.readline()).split()[1])
    writer.transport.abort()
    return status


@pytest.mark.parametrize("door", ["gateway", "ingest"])
def test_hostile_clients_do_not_slow_others_down(stack: Stack, door: str) -> None:
    port = ports(stack)[door == "ingest"]

    async def main() -> None:
        before = memory(stack)
        normal = await latencies(port)
        async with (
            connections(port, SLOW_HEADERS, b"POST /api/v1/drivers/h/location HTTP/1.1\r\nX-A: "),
            connections(port, HALF_BODIES, f'{POST}Content-Length: 1000\r\n\r\n{{"la'.encode()),
        ):
            endless = [asyncio.create_task(send_without_end(port)) for _ in range(3)]
            hostile = await latencies(port)
            assert await refused(port, b"[" * 15_000) in {400, 422}
            assert await refused(port, b'{"latitude": 1, "order_id": "\xff"}') in {400, 422}
            assert await refused(port, json.dumps({"latitude": 1e400}).encode()) in {400, 422}
            assert await refused(port, b"x" * 2_000_000) == 413
            assert await refused(port, b"\x1f\x8b" * 100, "Content-Encoding: gzip") in {400, 415}
            taken_mb = await asyncio.gather(*endless)
        assert hostile[98] < max(2 * normal[98], 0.1)
        assert hostile[-1] < SLOWEST_S
        # Refused long before the end, whatever was on its way.
        assert max(taken_mb) < 32
        assert memory(stack) - before < GROWTH_BYTES_MAX

    asyncio.run(main())


@pytest.mark.parametrize("door", ["gateway", "ingest"])
def test_idle_connections_keep_nobody_out(stack: Stack, door: str) -> None:
    """As many as wanted, or as this machine allows files to one process."""
    _, files = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle_count = min(IDLE, files - OTHER_FILES)
    print(f"{idle_count} idle connections; {files} files allowed")
    if idle_count < IDLE_MIN:
        pytest.skip(f"this machine allows {files} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    try:
        crowd(stack, door, idle_count)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def crowd(stack: Stack, door: str, idle_count: int) -> None:
    port = ports(stack)[door == "ingest"]

    async def main() -> None:
        ask = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with connections(port, idle_count, ask) as idle:
            # Each was served once and is kept.
            answers = await asyncio.gather(*(reader.read(4096) for reader, _ in idle))
            assert all(b" 200 " in answer for answer in answers)
            found = await latencies(port)
            # They were there all the time.
            assert not any(reader.at_eof() for reader, _ in idle)
            assert found[98] < 0.25
            assert found[-1] < SLOWEST_S

    asyncio.run(main())


def test_killed_workers_of_ingest_leave_no_old_generation(stack: Stack) -> None:
    """First one worker, then the main process: whoever answers afterwards is new."""
    main = stack.pid("ingest")
    old = {main, *(child.pid for child in psutil.Process(main).children())}
    ingest_port = ports(stack)[1]

    def listeners() -> set[int | None]:
        found = psutil.net_connections("tcp")
        return {c.pid for c in found if c.status == "LISTEN" and c.laddr.port == ingest_port}

    assert main is not None
    os.kill(next(iter(old - {main})), signal.SIGKILL)
    os.kill(main, signal.SIGKILL)
    within(8, lambda: asyncio.run(_accepts(ingest_port)), "another ingest")
    wait_until(lambda: listeners() and not listeners() & old)


async def _accepts(port: int) -> bool:
    began_s = time.monotonic()
    caller = Caller(port)
    body = {"latitude": 1.0, "longitude": 2.0}
    answer = await caller.post("/api/v1/drivers/normal/location", body)
    caller.close()
    return answer is not None and answer.status == 202 and time.monotonic() - began_s < 2
