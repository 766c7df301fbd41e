"""A customer's socket from handshake to close, against a real Valkey."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from common.arrivals.arrival import Rest, arrival_of, encode_arrival
from common.keys import order_arrival_key, order_key
from tests.clients.ws import ORDER_PATH, connect, watching
from tests.servers.fanout_server import (
    QUICK,
    event,
    event_now,
    fanout,
    in_loop,
    number_of,
    publishing,
    until,
)
from tests.servers.redis_cluster import AnyRedis


@pytest.mark.cluster_too
def test_snapshot_then_live_then_end(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            await publisher.show(1)
            async with watching(port, "o1") as early, watching(port, "none") as silent:
                assert number_of(await early.json()) == 1
                # A redelivery is not shown again; the bytes are those of the event.
                await publisher.show(1)
                await publisher.show(2)
                frame = b'{"type":"location_update","data":' + event(2) + b"}"
                assert await early.text() == frame
                async with watching(port, "o1") as late:
                    assert number_of(await late.json()) == 2
                    await publisher.show(3)
                    assert number_of(await late.json()) == 3
                    assert number_of(await early.json()) == 3
                    await publisher.end()
                    for client in (early, late):
                        ended = {"type": "tracking_ended", "data": {"order_id": "o1"}}
                        assert await client.json() == ended
                        assert (await client.closed()).code == 4000
                # Ended stays ended, whatever is still written.
                await publisher.show(4)
                async with watching(port, "o1") as after:
                    assert (await after.json())["type"] == "tracking_ended"
                    assert (await after.closed()).code == 4000
                # Whose order had no position has been shown nothing before its first.
                await publisher.show(5, "none")
                assert number_of(await silent.json()) == 5

    in_loop(main())


def test_arrivals_come_after_a_position_also_to_who_comes_later(
    redis_server: AnyRedis,
) -> None:
    def arriving(minutes: float, at: datetime) -> bytes:
        rest = Rest(minutes * 60, minutes * 50, minutes * 80, 1000.0, "roads")
        return encode_arrival(arrival_of("o1", "d1", rest, at, at))

    async def main() -> None:
        async with (
            fanout(redis_server.url) as server,
            publishing(redis_server.url) as publisher,
            watching(server.settings.fanout_port, "o1") as first,
        ):
            await until(lambda: server.subscriptions.hub.channels["o1"].live)
            for minutes in (9, 8):
                frame = arriving(minutes, datetime.now(UTC) + timedelta(seconds=9 - minutes))
                await publisher.send("SET", order_arrival_key("o1"), frame)
                await publisher.publish(order_key("o1"), frame)
            await publisher.show(1)
            assert number_of(await first.json()) == 1
            assert await first.text() == frame
            async with watching(server.settings.fanout_port, "o1") as second:
                assert number_of(await second.json()) == 1
                assert orjson.loads(await second.text())["data"]["remaining_s"] == 480
            await publisher.end()
            assert (await first.json())["type"] == "tracking_ended"

    in_loop(main())


def test_a_position_older_than_its_time_to_live_is_no_snapshot(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with (
            fanout(redis_server.url, location_ttl=300) as server,
            publishing(redis_server.url) as publisher,
            watching(server.settings.fanout_port, "o1") as first,
        ):
            await until(lambda: server.subscriptions.hub.channels["o1"].live)
            # The tests' events are dated long ago, as those of a phone that was offline.
            await publisher.send("SET", order_key("o1"), event(1))
            async with watching(server.settings.fanout_port, "o1") as second:
                await until(lambda: len(server.subscriptions.hub.channels["o1"].live) == 2)
                payload = event_now()
                await publisher.publish(order_key("o1"), payload)
                for client in (first, second):
                    assert (await client.json())["data"] == orjson.loads(payload)

    in_loop(main())


@pytest.mark.cluster_too
def test_channel_is_left_a_while_after_its_last_watcher(redis_server: AnyRedis) -> None:
    def subscribers() -> int:
        return redis_server.subscribers(order_key("o1"))

    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            await publisher.show(1)
            for _ in range(2):
                async with watching(server.settings.fanout_port, "o1") as client:
                    await client.json()
                    assert subscribers() == 1
            hub = server.subscriptions.hub
            await until(lambda: not server.sessions.open)
            assert list(hub.channels) == ["o1"]
            await until(lambda: not hub.channels and subscribers() == 0)

    in_loop(main())


def test_browsers_of_the_same_host_and_of_firefox_come_in(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            headers = {
                "Origin": f"http://127.0.0.1:{port}",
                # Regression: picows wants exactly "upgrade"; Firefox sends this.
                "Connection": "keep-alive, Upgrade",
                "Sec-WebSocket-Protocol": "fleetline.v1, bearer.abc",
            }
            client = await connect(port, ORDER_PATH.format("o%3A1"), headers=headers)
            assert list(server.subscriptions.hub.channels) == ["o:1"]
            client.abort()

    in_loop(main())


def test_pings_and_silence(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(
            redis_server.url, tuning=replace(QUICK, ping_interval_s=0.6, pong_timeout_s=0.3)
        ) as server:
            port = server.settings.fanout_port
            async with watching(port, "o1") as good, watching(port, "o1") as mute:
                mute.answer_pings = False
                closed = asyncio.create_task(good.closed(timeout_s=20))
                started = asyncio.get_running_loop().time()
                assert (await mute.closed(timeout_s=5)).code in (1001, None)
                assert asyncio.get_running_loop().time() - started < 0.6 + 0.3 + 0.5
                assert server.counts.no_pong == 1
                await until(lambda: good.pings >= 3)
                assert not closed.done()
                closed.cancel()

    in_loop(main())


INBOUND: list[tuple[int, bytes, bool, int]] = [
    (1, b"x" * 1025, True, 1009),
    (2, b"x" * 70_000, True, 1009),
    (1, b"\xff", True, 1007),
    (0, b"x", True, 1002),
    (3, b"x", True, 1002),
    (8, b"\x03\xed", True, 1002),
]


def test_what_clients_may_send(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            for opcode, payload, fin, code in INBOUND:
                async with watching(port, "o1") as client:
                    client.send(opcode, payload, fin=fin)
                    assert (await client.closed()).code == code, (opcode, payload[:9])
            async with watching(port, "o1") as client:
                client.send(1, b"x" * 1024)
                client.send(2, b"x" * 600, fin=False)
                await publisher.show(1)
                assert number_of(await client.json()) == 1
                client.send(0, b"x" * 600)
                assert (await client.closed()).code == 1009
            async with watching(port, "o1") as client:
                assert number_of(await client.json()) == 1
                client.send(8, b"\x03\xe8bye")
                assert await client.frame() == (8, b"\x03\xe8")

    in_loop(main())


def test_drain_closes_everybody_in_waves(redis_server: AnyRedis) -> None:
    async def main() -> None:
        closes = []
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            clients = [await connect(port, ORDER_PATH.format(f"o{n}")) for n in range(120)]
            # One that never answers its close frame.
            deaf = await connect(port, ORDER_PATH.format("o1"))
            closes = [asyncio.create_task(client.closed(timeout_s=10)) for client in clients]
            await until(lambda: len(server.sessions.open) == 121)
        codes = [(await close).code for close in closes]
        assert codes == [1001] * 120
        assert server.counts.closes[1001] == 121
        deaf.abort()

    in_loop(main())
