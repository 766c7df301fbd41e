"""Customers who do not read, and those who send garbage: nobody else notices."""

import asyncio
import contextlib
import random
import sys
import time
from dataclasses import replace
from typing import Any

import orjson
import psutil

from fanout.tuning import Tuning
from tests.clients.ws import ORDER_PATH, connect, get, watching
from tests.servers.fanout_server import (
    QUICK,
    Publisher,
    fanout,
    fanout_process,
    in_loop,
    publishing,
    until,
    watch_until,
)
from tests.servers.redis_cluster import AnyRedis
from tests.wait import pace

SMALL = replace(QUICK, outbox_bytes_max=8192, stall_max_s=30.0)


def test_slow_reader_ends_on_the_newest(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, tuning=SMALL) as server:
            port = server.settings.fanout_port
            async with (
                publishing(redis_server.url) as publisher,
                watching(port, "o1", receive_buffer_bytes=4096) as client,
            ):
                for number in range(1, 2001):
                    await publisher.show(number)
                (session,) = server.sessions.open
                await until(lambda: session.outbox.full)
                seen: list[int] = []
                await watch_until(client, 2000, seen)
                assert seen == sorted(set(seen))
                assert len(seen) < 1000
                assert server.counts.conflated > 1000

    in_loop(main())


def test_one_that_takes_nothing_is_aborted(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(
            redis_server.url, tuning=replace(QUICK, outbox_bytes_max=8192, stall_max_s=0.5)
        ) as server:
            port = server.settings.fanout_port
            path = ORDER_PATH.format("o1")
            client = await connect(port, path, receive_buffer_bytes=4096)
            async with publishing(redis_server.url) as publisher:
                for number in range(1, 1000):
                    await publisher.show(number)
            await until(lambda: server.counts.stalled == 1)
            await until(lambda: not server.sessions.open)
            assert (await client.closed()).code is None

    in_loop(main())


READERS, MUTES = 900, 100
ROUNDS = 50
# Four kernel buffers of a session for every one who does not read.
UNREAD = 1_100


async def _publish_rounds(publisher: Publisher, first: int) -> dict[int, float]:
    times = {}
    for number in range(first, first + ROUNDS):
        times[number] = time.monotonic()
        await publisher.show(number)
        await publisher.show(number, "o2")
        await pace(0.05)
    return times


async def _killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _p99_s(arrivals: list[tuple[int, float]], times: dict[int, float]) -> float:
    waits = sorted(at - times[number] for number, at in arrivals if number in times)
    assert len(waits) == READERS * ROUNDS
    return waits[len(waits) * 99 // 100]


def test_non_readers_beside_readers(redis_server: AnyRedis) -> None:
    """Memory stays flat, and those who read are not kept waiting by those who do not."""

    async def main() -> None:
        async with (
            # The readers answer no pings.
            fanout_process(redis_server.url, Tuning(ping_interval_s=600.0)) as (pid, port),
            publishing(redis_server.url) as publisher,
            contextlib.AsyncExitStack() as stack,
        ):
            readers = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.clients.ws_readers", str(port), str(READERS)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=64 * 1_048_576,
            )
            stack.push_async_callback(_killed, readers)
            assert readers.stdin is not None
            assert readers.stdout is not None
            assert await readers.stdout.readline() == b"up\n"
            alone = await _publish_rounds(publisher, 1)
            # An order of their own: the readers must not still be busy with what fills them.
            path = ORDER_PATH.format("o2")
            for _ in range(MUTES):
                mute = await connect(port, path, receive_buffer_bytes=2048)
                stack.callback(mute.abort)
            process = psutil.Process(pid)
            rss_before = process.memory_info().rss
            for number in range(10_000, 10_000 + UNREAD):
                await publisher.show(number, "o2")
            beside = await _publish_rounds(publisher, 20_000)
            grown = process.memory_info().rss - rss_before
            _, body = await get(port, "/health/ready")
            assert body["full"] == MUTES
            readers.stdin.close()
            async with asyncio.timeout(20):
                arrivals = orjson.loads(await readers.stdout.read())
        # One frame each, and what is left of the one that did not fit.
        assert grown < 4 * 1_048_576
        # A floor for the noise of a shared machine: the clients are on it, too.
        assert _p99_s(arrivals, beside) < max(2 * _p99_s(arrivals, alone), 0.05)

    in_loop(main())


def _garbage(rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400))
    if kind == 1:
        # Half a frame that promises more than will ever come.
        return bytes((0x82, 0xFE)) + (900).to_bytes(2, "big") + rng.randbytes(50)
    if kind == 2:
        return bytes((0x82, 0xFF)) + (2**62).to_bytes(8, "big") + rng.randbytes(40)
    if kind == 3:
        return bytes((0x89, 0x84)) + rng.randbytes(8)
    return bytes((0x81, 0x80 | 10)) + rng.randbytes(14)


def test_fuzz_leaves_others_untouched(redis_server: AnyRedis) -> None:
    async def attack(port: int, rng: random.Random) -> None:
        path = ORDER_PATH.format("o1")
        client = await connect(port, path)
        for _ in range(rng.randrange(1, 30)):
            client.raw(_garbage(rng))
            await pace(0)
        # Some flood pings and never read the pongs.
        if rng.random() < 0.2:
            client.raw((bytes((0x89, 0x84)) + rng.randbytes(8)) * 20_000)
        await pace(rng.random() / 10)
        client.abort()

    async def raw(port: int, data: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        await pace(0.05)
        writer.transport.abort()

    async def main() -> None:
        rng = random.Random(7)
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            async with watching(port, "o1") as good:
                seen: list[int] = []
                reader = asyncio.create_task(watch_until(good, 300, seen))
                attacks: list[Any] = [attack(port, rng) for _ in range(150)]
                attacks += [raw(port, rng.randbytes(rng.randrange(1, 30_000))) for _ in range(50)]
                attackers = asyncio.gather(*attacks)
                for number in range(1, 301):
                    await publisher.show(number)
                    await pace(0.002)
                await attackers
                await reader
                assert seen == sorted(set(seen))
                assert seen[-1] == 300
                assert len(seen) >= 290
            async with watching(port, "o1") as flood:
                for _ in range(1200):
                    flood.send(10, b"")
                # The close frame may be overtaken by the reset that unread input causes.
                assert (await flood.closed()).code in (1008, None)
                assert server.counts.closes[1008] >= 1
            await until(lambda: not server.sessions.open)

    in_loop(main())
