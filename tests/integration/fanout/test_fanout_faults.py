"""Every session ends on the newest position: joins in a burst, lost and dead connections."""

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from common.keys import order_ended_key, order_key
from tests.clients.ws import get, watching
from tests.servers import RedisServer
from tests.servers.fanout_server import (
    QUICK,
    Publisher,
    event,
    fanout,
    in_loop,
    number_of,
    publishing,
    until,
    watch_until,
)
from tests.servers.proxy import proxy_to
from tests.servers.redis_cluster import AnyRedis
from tests.wait import pace

CONNECTS = 1_000
ORDERS = 20


def test_joins_during_a_burst_see_no_gap_and_no_repeat(redis_server: AnyRedis) -> None:
    """1,000 connects at random times while 20 orders are published at full rate."""

    async def publish(publisher: Publisher, stop: asyncio.Event, last: list[int]) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for order in range(ORDERS):
                await publisher.show(number, f"o{order}")
        last.append(number)

    async def one(port: int, delay_s: float, finished: asyncio.Event, last: list[int]) -> None:
        await pace(delay_s)
        seen: list[int] = []
        async with watching(port, f"o{random.randrange(ORDERS)}") as client:
            if random.random() < 0.5:
                # Half leave in the middle, so channels come and go.
                seen.append(number_of(await client.json()))
                return
            reader = asyncio.create_task(watch_until(client, -1, seen))
            await finished.wait()
            await until(lambda: seen[-1:] == last)
            reader.cancel()
        assert all(a < b for a, b in pairwise(seen))

    async def main() -> None:
        stop, finished, last = asyncio.Event(), asyncio.Event(), list[int]()
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            writer = asyncio.create_task(publish(publisher, stop, last))
            await until(lambda: server.subscriptions.synced)
            async with asyncio.TaskGroup() as group:
                for _ in range(CONNECTS):
                    delay_s = random.uniform(0, 4)
                    group.create_task(one(server.settings.fanout_port, delay_s, finished, last))
                await pace(4.2)
                stop.set()
                await writer
                finished.set()

    in_loop(main())


@pytest.mark.cluster_too
def test_published_while_the_connection_is_killed(redis_server: AnyRedis) -> None:
    """Regression of the plain design: what was published in the gap was never shown."""

    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            wire = publisher.nodes.order_wire("o1")
            await publisher.show(1)
            async with watching(port, "o1") as client, watching(port, "o2") as unset:
                assert number_of(await client.json()) == 1
                for number in range(2, 12):
                    # The message is lost with the connection; the snapshot has it.
                    await wire.pipeline_raw(
                        (
                            ("CLIENT", "KILL", "TYPE", "pubsub"),
                            ("SET", order_key("o1"), event(number)),
                            (publisher.nodes.publish, order_key("o1"), event(number)),
                        )
                    )
                    assert number_of(await client.json()) == number
                assert server.counts.reconnects >= 10
                # Also the end of an order is not lost in a gap.
                await wire.pipeline_raw(
                    (("CLIENT", "KILL", "TYPE", "pubsub"), ("SET", order_ended_key("o1"), "1"))
                )
                assert (await client.json())["type"] == "tracking_ended"
                assert (await client.closed()).code == 4000
                await publisher.show(1, "o2")
                assert number_of(await unset.json()) == 1

    in_loop(main())


def test_dead_but_open_connection_is_replaced(one_server: RedisServer) -> None:
    """A black hole on both connections: found within two intervals, red meanwhile."""

    async def main() -> None:
        async with proxy_to(one_server.port) as proxy, publishing(one_server.url) as publisher:
            url = f"redis://127.0.0.1:{proxy.port}/0"
            async with fanout(
                url, tuning=replace(QUICK, probe_interval_s=0.6, reply_timeout_s=0.5)
            ) as server:
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


@pytest.mark.one_redis
def test_dead_publish_path_alone_is_found(redis_server: AnyRedis) -> None:
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
            await bridge.command("UNSUBSCRIBE", replies=3)
            await publisher.show(2)
            assert number_of(await client.json()) == 2
            assert server.counts.probes_missed == 1

    in_loop(main())


@pytest.mark.cluster_too
def test_redis_restart_and_joins_while_it_is_down(redis_server: AnyRedis) -> None:
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


def test_who_comes_while_redis_is_away_for_long_is_told_to_try_later(
    redis_server: AnyRedis,
) -> None:
    """A socket that is open and shows nothing looks like an order without a position."""

    async def main() -> None:
        quick = replace(QUICK, unread_max_s=0.5)
        async with fanout(redis_server.url, tuning=quick) as server:
            port = server.settings.fanout_port
            async with watching(port, "o1") as before:
                await until(lambda: server.subscriptions.hub.channels["o1"].live)
                await asyncio.to_thread(redis_server.kill)
                await until(lambda: not server.probe.delivering)
                async with watching(port, "o1") as during:
                    assert (await during.closed()).code == 1013
                await asyncio.to_thread(redis_server.start)
                async with publishing(redis_server.url) as publisher:
                    await publisher.show(1)
                assert number_of(await before.json()) == 1
        assert server.counts.closes[1013] == 1

    try:
        in_loop(main())
    finally:
        redis_server.kill()
        redis_server.start()
