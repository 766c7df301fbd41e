"""The events' socket: every event, in order, to each reader; whoever missed some is told so."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from common.keys import EVENTS_CHANNEL
from fanout.events import feed
from tests.clients.ws import Closed, Refused, connect
from tests.servers import RedisServer
from tests.servers.fanout_server import QUICK, Publisher, fanout, in_loop, publishing, until
from tests.servers.proxy import proxy_to
from tests.servers.redis_cluster import AnyRedis

PATH = "/api/v1/events/live"


async def publish(publisher: Publisher, numbers: range) -> None:
    payloads = [orjson.dumps({"type": "geofence.enter", "data": {"n": n}}) for n in numbers]
    await publisher.publish(EVENTS_CHANNEL, *payloads)


def number_of(frame: Any) -> int:
    assert frame["type"] == "geofence.enter"
    return int(frame["data"]["n"])


@pytest.mark.cluster_too
def test_each_reader_gets_each_event_as_it_is_in_order(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            clients = [await connect(server.settings.fanout_port, PATH) for _ in range(3)]
            await until(lambda: len(server.events.readers) == 3)
            await publish(publisher, range(500))
            for client in clients:
                assert [number_of(await client.json()) for _ in range(500)] == list(range(500))
                client.abort()

    in_loop(main())


def test_a_slow_reader_loses_nothing_until_it_is_let_go(redis_server: AnyRedis) -> None:
    """What broke: a burst fills any socket, and positions' rule would show the last event only."""

    async def main() -> None:
        tuning = replace(QUICK, outbox_bytes_max=8192, stall_max_s=30.0)
        async with (
            fanout(redis_server.url, tuning=tuning) as server,
            publishing(redis_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            slow = await connect(port, PATH, receive_buffer_bytes=4096)
            await until(lambda: server.events.readers)
            (session,) = server.events.readers
            await publish(publisher, range(2000))
            await until(lambda: session.outbox.full)
            assert [number_of(await slow.json()) for _ in range(2000)] == list(range(2000))
            # It reads no more, and too much comes.
            sent = 2000
            while server.events.readers:
                await publish(publisher, range(sent, sent + 500))
                sent += 500
            seen = []
            ended = None
            while ended is None:
                try:
                    seen.append(number_of(await slow.json()))
                except Closed as e:
                    ended = e
            assert seen == list(range(2000, 2000 + len(seen)))
            assert len(seen) < sent - 2000
            # The close frame comes through only if there is room for it.
            assert ended.code in {1013, None}
            slow.abort()

    in_loop(main())


def test_who_may_have_missed_something_is_told(one_server: RedisServer) -> None:
    async def main() -> None:
        async with (
            proxy_to(one_server.port) as proxy,
            fanout(f"redis://127.0.0.1:{proxy.port}") as server,
            publishing(one_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            client = await connect(port, PATH)
            await until(lambda: server.events.readers)
            proxy.cut()
            ended = await client.closed()
            assert (ended.code, ended.reason) == (1013, "events were missed: read /api/v1/events")
            await until(lambda: server.subscriptions.synced)
            again = await connect(port, PATH)
            await until(lambda: server.events.readers)
            await publish(publisher, range(1))
            assert number_of(await again.json()) == 0
            again.abort()

    in_loop(main())


def test_more_readers_than_a_process_takes_are_asked_to_wait(
    redis_server: AnyRedis, monkeypatch: Any
) -> None:
    monkeypatch.setattr(feed, "READERS_MAX", 1)

    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            client = await connect(port, PATH)
            await until(lambda: server.events.readers)
            with pytest.raises(Refused) as refused:
                await connect(port, PATH)
            assert refused.value.status in {429, 503}
            client.abort()

    in_loop(main())
