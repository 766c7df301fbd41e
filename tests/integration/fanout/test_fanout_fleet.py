"""The operators' stream, and several fan-out processes on one port."""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import orjson
import psutil
import pytest

from common.keys import META, ShardKeys, shard_keys
from fanout.fleet.feed import BOXES_MAX
from tests.clients.ws import Client, Refused, connect, watching
from tests.servers.fanout_server import (
    QUICK,
    Publisher,
    event,
    fanout,
    fanout_process,
    in_loop,
    publishing,
    until,
)
from tests.servers.redis_cluster import AnyRedis
from tests.wait import pace

SHARDS = 2
CHANNEL = shard_keys("driver-locations", 0, SHARDS).fleet
FLEET = "/api/v1/fleet/live?bbox={}"


async def live(publisher: Publisher, shard: int, *events: bytes) -> None:
    """What a consumer's live stage writes and publishes for a batch."""
    await live_in(publisher, shard_keys("driver-locations", shard, SHARDS), *events)


async def live_in(publisher: Publisher, keys: ShardKeys, *events: bytes) -> None:
    for payload in events:
        spot = orjson.loads(payload)
        name = spot["driver_id"]
        await publisher.send("GEOADD", keys.geo, spot["longitude"], spot["latitude"], name)
        await publisher.send("HSET", keys.live, name, payload)
    await publisher.publish(keys.fleet, b"[" + b",".join(events) + b"]")


async def positions(client: Client) -> dict[str, Any]:
    frame = await client.json()
    assert frame["type"] == "positions"
    return {position["driver_id"]: position for position in frame["data"]}


def at(number: int, driver_id: str, latitude: float, longitude: float) -> bytes:
    return event(number, "o1", driver_id, latitude=latitude, longitude=longitude)


SMALL = replace(QUICK, outbox_bytes_max=8192, stall_max_s=30.0)


@pytest.mark.cluster_too
def test_picture_then_changes_newest_once_a_second(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with (
            fanout(redis_server.url, shards=SHARDS) as server,
            publishing(redis_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            assert redis_server.subscribers(CHANNEL) == 0
            await live(publisher, 0, at(1, "a", 10, 20), at(1, "far", 60, 20))
            await live(publisher, 1, at(1, "b", 11, 21))
            client = await connect(port, FLEET.format("19,9,22,12"))
            assert set(await positions(client)) == {"a", "b"}
            loop = asyncio.get_running_loop()
            for number in range(2, 30):
                await live(publisher, 0, at(number, "a", 10 + number / 100, 20))
            # Older than shown: never.
            await live(publisher, 0, at(3, "a", 10.5, 20.5))
            seen = await positions(client)
            while seen["a"]["latitude"] != 10.29:
                seen = await positions(client)
            await live(publisher, 0, at(40, "a", 10.4, 20))
            started = loop.time()
            await live(publisher, 0, at(41, "a", 10.41, 20), at(41, "out", 50, 50))
            assert {name: p["latitude"] for name, p in (await positions(client)).items()} == {
                "a": 10.41
            }
            assert loop.time() - started < 1.5
            client.abort()
            await until(lambda: not server.feed.operators)
            await until(lambda: redis_server.subscribers(CHANNEL) == 0)

    in_loop(main())


def test_operators_are_shown_who_moved_on_and_who_did_not_while_shards_change(
    redis_server: AnyRedis,
) -> None:
    new = [shard_keys("driver-locations", shard, 3, 2) for shard in range(3)]

    async def main() -> None:
        async with (
            fanout(redis_server.url, shards=SHARDS) as server,
            publishing(redis_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            await live(publisher, 0, at(1, "a", 10, 20), at(1, "parked", 10.5, 20))
            client = await connect(port, FLEET.format("19,9,22,12"))
            assert set(await positions(client)) == {"a", "parked"}
            coming = ("shards", SHARDS, "next_shards", 3, "next_epoch", 2)
            await publisher.send("HSET", META, *coming)
            # It listens to them before anybody writes there.
            await until(
                lambda: redis_server.command("PUBSUB", "NUMSUB", new[1].fleet)[-3:] != b"0\r\n"
            )
            await live_in(publisher, new[1], at(5, "a", 10.2, 20))
            seen: dict[str, Any] = {}
            while seen.get("a", {}).get("latitude") != 10.2:
                seen |= await positions(client)
            # Somebody new: the older place is not shown, nor the driver twice.
            other = await connect(port, FLEET.format("19,9,22,13"))
            shown = await positions(other)
            assert {name: p["latitude"] for name, p in shown.items()} == {"a": 10.2, "parked": 10.5}
            switched = {"shards": 3, "epoch": 2}
            await publisher.send("HDEL", META, "next_shards", "next_epoch")
            await publisher.send(
                "HSET", META, *(part for pair in switched.items() for part in pair)
            )
            await until(lambda: server.feed.shards.older is None)
            assert [shard.keys.fleet for shard in server.feed.shards] == [k.fleet for k in new]
            client.abort()
            other.abort()

    in_loop(main())


def test_boxes_across_the_antimeridian_and_around_the_world(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with (
            fanout(redis_server.url, shards=SHARDS) as server,
            publishing(redis_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            places = {
                "fiji": (-17, 178),
                "samoa": (-14, -172),
                "oslo": (60, 10),
                "wgtn": (-41, 175),
            }
            events = [at(1, name, lat, lon) for name, (lat, lon) in places.items()]
            await live(publisher, 0, *events)
            boxes = {
                "170,-30,-170,0": {"fiji", "samoa"},
                "-180,-90,180,90": set(places),
                "9.9,59.9,10.1,60.1": {"oslo"},
            }
            for bbox, inside in boxes.items():
                client = await connect(port, FLEET.format(bbox))
                assert set(await positions(client)) == inside, bbox
                client.abort()
            # A frame holds as many as asked for; what changes comes in several.
            client = await connect(port, FLEET.format("-180,-90,180,90&n=2"))
            assert len(await positions(client)) == 2
            moved = [at(9, name, lat, lon + 1) for name, (lat, lon) in places.items()]
            await live(publisher, 0, *moved)
            seen: set[str] = set()
            while seen != set(places):
                frame = await positions(client)
                assert len(frame) <= 2
                seen |= {n for n, p in frame.items() if p["longitude"] == places[n][1] + 1}
            client.abort()

    in_loop(main())


def test_slow_operator_catches_up_with_the_whole_box(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with (
            fanout(redis_server.url, shards=SHARDS, tuning=SMALL) as server,
            publishing(redis_server.url) as publisher,
        ):
            path = FLEET.format("0,0,90,80")
            client = await connect(server.settings.fanout_port, path, receive_buffer_bytes=4096)
            await until(lambda: server.feed.operators)
            (session,) = server.sessions.open
            number = 0
            while not session.outbox.full:
                number += 1
                events = (at(number, f"d{i}", 10 + i / 100, 20) for i in range(300))
                await live(publisher, 0, *events)
                await pace(0.2)
            last: dict[str, Any] = {}
            while len(last) < 300 or any(
                not p["recorded_at"].endswith(f"00.{number:03}000Z") for p in last.values()
            ):
                last |= await positions(client)
            client.abort()

    in_loop(main())


def test_operators_are_bounded_in_boxes_and_told_when_none_can_be_read(
    redis_server: AnyRedis,
) -> None:
    async def main() -> None:
        quick = replace(QUICK, unread_max_s=0.5)
        async with fanout(redis_server.url, shards=SHARDS, tuning=quick) as server:
            port = server.settings.fanout_port
            paths = [FLEET.format(f"{n / 10},0,{n / 10 + 1},1") for n in range(BOXES_MAX)]
            clients = await asyncio.gather(*(connect(port, path) for path in paths))
            with pytest.raises(Refused) as refused:
                await connect(port, FLEET.format("0,0,3,3"))
            assert refused.value.status == 429
            # A box that somebody looks at already has room for others.
            clients.append(await connect(port, paths[0]))
            for client in clients:
                client.abort()
            await until(lambda: not server.feed.operators)
            await asyncio.to_thread(redis_server.kill)
            await until(lambda: not any(wire.up for wire in server.nodes.wires))
            client = await connect(port, paths[0])
            assert (await client.closed()).code == 1013

    try:
        in_loop(main())
    finally:
        redis_server.kill()
        redis_server.start()


def test_several_processes_share_the_port(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with (
            fanout_process(redis_server.url, fanout_workers=2) as (pid, port),
            publishing(redis_server.url) as publisher,
            contextlib.AsyncExitStack() as stack,
        ):
            parent = psutil.Process(pid)
            # Regression of this test: ready is said by the first that listens.
            await until(lambda: sum(map(_listens, parent.children())) == 2)
            path = "/api/v1/drivers/orders/o{}/driver-location"
            clients = [await connect(port, path.format(n)) for n in range(20)]
            for client in clients:
                stack.callback(client.abort)
            for n, client in enumerate(clients):
                await publisher.show(1, f"o{n}")
                await client.json()
            # Each listens and holds two connections to each primary; the others are customers'.
            servers = len(redis_server.each("PING"))
            shares = [len(child.net_connections()) - 1 - 2 * servers for child in parent.children()]
            assert all(share > 0 for share in shares)
            # Killed: the others' customers see nothing of it, and it is back.
            victim = parent.children()[0]
            victim.kill()
            await until(lambda: sum(c.reader.at_eof() for c in clients) == shares[0])
            await until(lambda: len(parent.children()) == 2 and victim not in parent.children())
            async with watching(port, "o0") as again:
                await again.json()

    def _listens(process: psutil.Process) -> bool:
        return any(one.status == psutil.CONN_LISTEN for one in process.net_connections())

    in_loop(main())
