"""Every session ends on the newest position: joins in a burst, lost and dead connections."""

import asyncio
import contextlib
import random
import sys
import time
from itertools import pairwise
from typing import Any

import orjson
import psutil

from tests.fanout_server import (
    Publisher,
    event,
    fanout,
    fanout_process,
    in_loop,
    number_of,
    publishing,
    until,
)
from tests.proxy import proxy_to
from tests.servers import RedisServer
from tests.ws import ORDER_PATH, Client, Closed, connect, get, watching

CONNECTS = 1_000
ORDERS = 20


async def _watch_until(client: Client, last: int, seen: list[int]) -> None:
    async with asyncio.timeout(15):
        while not seen or seen[-1] != last:
            seen.append(number_of(orjson.loads(await client.text())))


def test_joins_during_a_burst_see_no_gap_and_no_repeat(redis_server: RedisServer) -> None:
    """1,000 connects at random times while 20 orders are published at full rate."""

    async def publish(publisher: Publisher, stop: asyncio.Event, last: list[int]) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for order in range(ORDERS):
                await publisher.show(number, f"o{order}")
        last.append(number)

    async def one(port: int, delay_s: float, finished: asyncio.Event, last: list[int]) -> None:
        await asyncio.sleep(delay_s)
        seen: list[int] = []
        async with watching(port, f"o{random.randrange(ORDERS)}") as client:
            if random.random() < 0.5:
                # Half leave in the middle, so channels come and go.
                seen.append(number_of(await client.json()))
                return
            reader = asyncio.create_task(_watch_until(client, -1, seen))
            await finished.wait()
            async with asyncio.timeout(5):
                while not seen or seen[-1] != last[0]:
                    await asyncio.sleep(0.01)
            reader.cancel()
        assert all(a < b for a, b in pairwise(seen))

    async def main() -> None:
        stop, finished, last = asyncio.Event(), asyncio.Event(), list[int]()
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            writer = asyncio.create_task(publish(publisher, stop, last))
            await asyncio.sleep(0.05)
            async with asyncio.TaskGroup() as group:
                for _ in range(CONNECTS):
                    delay_s = random.uniform(0, 4)
                    group.create_task(one(server.settings.fanout_port, delay_s, finished, last))
                await asyncio.sleep(4.2)
                stop.set()
                await writer
                finished.set()

    in_loop(main())


def test_published_while_the_connection_is_killed(redis_server: RedisServer) -> None:
    """Regression of the plain design: what was published in the gap was never shown."""

    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            await publisher.show(1)
            async with watching(port, "o1") as client, watching(port, "o2") as unset:
                assert number_of(await client.json()) == 1
                for number in range(2, 12):
                    # The message is lost with the connection; the snapshot has it.
                    await publisher.wire.send_many(
                        (
                            ("CLIENT", "KILL", "TYPE", "pubsub"),
                            ("SET", "order:o1", event(number)),
                            ("PUBLISH", "order:o1", event(number)),
                        )
                    )
                    assert number_of(await client.json()) == number
                assert server.counts.reconnects >= 10
                # Also the end of an order is not lost in a gap.
                await publisher.wire.send_many(
                    (("CLIENT", "KILL", "TYPE", "pubsub"), ("SET", "order-ended:o1", "1"))
                )
                assert (await client.json())["type"] == "tracking_ended"
                assert (await client.closed()).code == 4000
                await publisher.show(1, "o2")
                assert number_of(await unset.json()) == 1

    in_loop(main())


def test_nothing_is_shown_twice_after_a_reconnect(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with (
            fanout(redis_server.url) as server,
            publishing(redis_server.url) as publisher,
            watching(server.settings.fanout_port, "o1") as client,
        ):
            await publisher.show(1)
            assert number_of(await client.json()) == 1
            await publisher.wire.send("CLIENT", "KILL", "TYPE", "pubsub")
            await until(lambda: server.counts.reconnects == 1 and server.subscriptions.synced)
            await publisher.show(2)
            assert number_of(await client.json()) == 2

    in_loop(main())


def test_dead_but_open_connection_is_replaced(redis_server: RedisServer) -> None:
    """A black hole on both connections: found within two intervals, red meanwhile."""

    async def main() -> None:
        async with proxy_to(redis_server.port) as proxy, publishing(redis_server.url) as publisher:
            url = f"redis://127.0.0.1:{proxy.port}/0"
            async with fanout(url, probe_interval_s=0.6, redis_reply_timeout_s=0.5) as server:
                port = server.settings.fanout_port
                async with watching(port, "o1") as client:
                    await publisher.show(1)
                    assert number_of(await client.json()) == 1
                    proxy.black_hole()
                    await publisher.show(2)
                    started = time.monotonic()
                    assert number_of(await client.json()) == 2
                    assert time.monotonic() - started < 2 * 0.6 + 0.5
                    assert server.counts.probes_missed == 1
                    await until(lambda: server.probe.delivering)

    in_loop(main())


def test_dead_publish_path_alone_is_found(redis_server: RedisServer) -> None:
    """The Pub/Sub connection answers PINGs, but is not subscribed any more."""

    async def main() -> None:
        async with (
            fanout(redis_server.url) as server,
            publishing(redis_server.url) as publisher,
            watching(server.settings.fanout_port, "o1") as client,
        ):
            await publisher.show(1)
            assert number_of(await client.json()) == 1
            bridge = server.subscriptions.bridge
            assert bridge is not None
            await bridge.command("UNSUBSCRIBE", replies=2)
            await publisher.show(2)
            assert number_of(await client.json()) == 2
            assert server.counts.probes_missed == 1

    in_loop(main())


def test_redis_restart_and_joins_while_it_is_down(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            async with contextlib.AsyncExitStack() as stack:
                before = await stack.enter_async_context(watching(port, "o1"))
                async with publishing(redis_server.url) as publisher:
                    await publisher.show(1)
                assert number_of(await before.json()) == 1
                await asyncio.to_thread(redis_server.kill)
                await until(lambda: not server.probe.delivering)
                status, body = await get(port, "/health/ready")
                assert (status, body["status"]) == (503, "not delivering")
                during = await stack.enter_async_context(watching(port, "o1"))
                await asyncio.to_thread(redis_server.start)
                started = time.monotonic()
                assert number_of(await during.json()) == 1
                assert time.monotonic() - started < 3
                await until(lambda: server.probe.delivering)
                async with publishing(redis_server.url) as publisher:
                    await publisher.show(2)
                for client in (before, during):
                    assert number_of(await client.json()) == 2

    try:
        in_loop(main())
    finally:
        redis_server.kill()
        redis_server.start()


def test_slow_reader_ends_on_the_newest(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, outbox_bytes_max=8192, stall_max_s=30.0) as server:
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
                await _watch_until(client, 2000, seen)
                assert seen == sorted(set(seen))
                assert len(seen) < 1000
                assert session.outbox.conflated > 1000

    in_loop(main())


def test_one_that_takes_nothing_is_aborted(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with fanout(
            redis_server.url,
            outbox_bytes_max=8192,
            stall_max_s=0.5,
            ping_interval_s=5.0,
            pong_timeout_s=4.0,
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
        await asyncio.sleep(0.05)
    return times


def _p99_s(arrivals: list[tuple[int, float]], times: dict[int, float]) -> float:
    waits = sorted(at - times[number] for number, at in arrivals if number in times)
    assert len(waits) == READERS * ROUNDS
    return waits[len(waits) * 99 // 100]


def test_non_readers_beside_readers(redis_server: RedisServer) -> None:
    """Memory stays flat, and those who read are not kept waiting by those who do not."""

    async def main() -> None:
        async with (
            fanout_process(redis_server.url) as (pid, port),
            publishing(redis_server.url) as publisher,
            contextlib.AsyncExitStack() as stack,
        ):
            readers = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.ws_readers", str(port), str(READERS)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=64 * 1_048_576,
            )
            assert readers.stdin is not None
            assert readers.stdout is not None
            stack.callback(readers.stdin.close)
            assert await readers.stdout.readline() == b"up\n"
            alone = await _publish_rounds(publisher, 1)
            path = ORDER_PATH.format("o1")
            for _ in range(MUTES):
                mute = await connect(port, path, receive_buffer_bytes=2048)
                stack.callback(mute.abort)
            process = psutil.Process(pid)
            rss_before = process.memory_info().rss
            for number in range(10_000, 10_000 + UNREAD):
                await publisher.show(number)
                await asyncio.sleep(0.005)
            beside = await _publish_rounds(publisher, 20_000)
            grown = process.memory_info().rss - rss_before
            _, body = await get(port, "/health/ready")
            assert body["full"] == MUTES
            readers.stdin.close()
            arrivals = orjson.loads(await readers.stdout.read())
            assert await readers.wait() == 0
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


def test_fuzz_leaves_others_untouched(redis_server: RedisServer) -> None:
    async def attack(port: int, rng: random.Random) -> None:
        path = ORDER_PATH.format("o1")
        client = await connect(port, path)
        for _ in range(rng.randrange(1, 30)):
            client.raw(_garbage(rng))
            await asyncio.sleep(0)
        # Some flood pings and never read the pongs.
        if rng.random() < 0.2:
            client.raw((bytes((0x89, 0x84)) + rng.randbytes(8)) * 20_000)
        await asyncio.sleep(rng.random() / 10)
        client.abort()

    async def raw(port: int, data: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def main() -> None:
        rng = random.Random(7)
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            async with watching(port, "o1") as good:
                seen: list[int] = []
                reader = asyncio.create_task(_watch_until(good, 300, seen))
                attacks: list[Any] = [attack(port, rng) for _ in range(150)]
                attacks += [raw(port, rng.randbytes(rng.randrange(1, 30_000))) for _ in range(50)]
                attackers = asyncio.gather(*attacks)
                for number in range(1, 301):
                    await publisher.show(number)
                    await asyncio.sleep(0.002)
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
