"""A driver is held to its rate by all workers together; others notice nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import httpx
import pytest

from common.errors import Overloaded, Refused
from common.keys import shard_keys, shard_of
from common.shards import Shards
from ingest.intake.capacity import Capacity
from ingest.intake.per_driver import Limit, PerDriver
from ingest.intake.producer import Producer
from ingest.intake.writer.stream_writer import StreamWriter
from ingest.intake.writer.turns import Turns
from tests.access import AUTH, bearer, token
from tests.clients.opened import opened
from tests.entries import fixes_in
from tests.servers import valkey
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

SHARDS = 4
JSON = {"content-type": "application/json"}
FIX = {"latitude": 1.0, "longitude": 2.0}


@asynccontextmanager
async def producing(server: AnyRedis, limit: Limit) -> AsyncIterator[Producer]:
    shards, pace = Shards("driver-locations", SHARDS), PerDriver(limit)
    capacity = Capacity(SHARDS, 1_000_000)
    capacity.correct([0] * SHARDS, [0] * SHARDS)
    async with opened(server.url) as nodes:
        turns = Turns(nodes, shards, gap_s=0.0, timeout_s=5.0, bytes_max=1_000_000)
        yield Producer(StreamWriter(turns, shards, capacity, pace.terms), pace)


def stored(server: AnyRedis, driver_id: str) -> int:
    stream = shard_keys("driver-locations", shard_of(driver_id, SHARDS), SHARDS).stream
    return fixes_in(server, stream)


async def flood(producer: Producer, count: int, driver_id: str = "d") -> int:
    accepted = 0
    for _ in range(count):
        try:
            await producer.add([(driver_id, b"{}")])
            accepted += 1
        except Refused as e:
            assert e.status == 429
    return accepted


@pytest.mark.cluster_too
@pytest.mark.parametrize("burst", [50, 640])
def test_the_burst_is_exact_over_two_workers(redis_server: AnyRedis, burst: int) -> None:
    async def run() -> None:
        limit = Limit(0.001, burst)
        async with producing(redis_server, limit) as one, producing(redis_server, limit) as two:
            accepted = sum(await asyncio.gather(flood(one, burst), flood(two, burst)))
            # A worker may hold a charged lease that it has not spent; never the other way round.
            assert burst - limit.lease <= accepted <= burst
            assert stored(redis_server, "d") == accepted

    asyncio.run(run())


def test_a_flood_is_held_to_its_rate(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server, Limit(100, 50)) as producer:
            await flood(producer, 200)
            began, accepted = time.monotonic(), 0
            while time.monotonic() - began < 2.0:
                accepted += await flood(producer, 20)
            elapsed = time.monotonic() - began
            assert accepted == pytest.approx(100 * elapsed, rel=0.05)
            assert await flood(producer, 1, "another") == 1

    asyncio.run(run())


def test_the_surplus_of_a_body_is_its_end(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server, Limit(0.01, 10)) as producer:
            events = [("a" if n % 2 else "b", b"%d" % n) for n in range(30)]
            receipt = await producer.add(events)
            assert list(receipt.limited) == list(range(20, 30))
            assert receipt.retry_after_s == 300
            assert stored(redis_server, "a") == stored(redis_server, "b") == 10
            with pytest.raises(Refused):
                await producer.add(events)

    asyncio.run(run())


def test_a_whole_body_is_taken_or_left(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server, Limit(0.01, 10)) as producer:
            await producer.add([("d", b"x")] * 7, whole=True)
            for _ in range(3):
                # Trying again must not eat up what it waits for.
                with pytest.raises(Refused) as refused:
                    await producer.add([("d", b"x")] * 4, whole=True)
                assert refused.value.retry_after_s in {99, 100}
            await producer.add([("d", b"x")] * 3, whole=True)
            assert stored(redis_server, "d") == 10

    asyncio.run(run())


@pytest.mark.cluster_too
def test_a_server_that_forgot_the_script_is_told_again(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server, Limit(10, 50)) as producer:
            await producer.add([("d", b"x")])
            redis_server.command("SCRIPT", "FLUSH")
            await producer.add([("d", b"x")])
            redis_server.command("SCRIPT", "FLUSH")
            await producer.add([("d", b"x"), ("e", b"x")])
            assert stored(redis_server, "d") == 3

    asyncio.run(run())


def test_without_scripts_the_workers_own_count_holds() -> None:
    with valkey("--rename-command", "EVALSHA", "", "--rename-command", "EVAL", "") as server:

        async def run() -> None:
            async with producing(server, Limit(0.01, 20)) as producer:
                assert await flood(producer, 30) == 20
                receipt = await producer.add([("e", b"x")] * 25)
                assert list(receipt.limited) == list(range(20, 25))
                assert stored(server, "d") == 20

        asyncio.run(run())


def test_a_full_redis_is_503_and_charges_nothing() -> None:
    with valkey("--maxmemory-policy", "noeviction") as server:

        async def run() -> None:
            async with producing(server, Limit(0.01, 20)) as producer:
                await producer.add([("d", b"x")])
                server.command("CONFIG", "SET", "maxmemory", "1")
                with pytest.raises((Overloaded, hiredis.ReplyError)):
                    await producer.add([("d", b"x")])
                with pytest.raises(Overloaded):
                    await producer.add([("e", b"x")] * 3)
                server.command("CONFIG", "SET", "maxmemory", "0")
                # 19 of d's 20 are left in Redis: the failure was not charged there.
                assert await flood(producer, 30) == 19
                assert stored(server, "d") == 20

        asyncio.run(run())


def test_over_http(redis_server: AnyRedis) -> None:
    fix = {"latitude": 1.0, "longitude": 2.0}
    limits = {"RATE_FIXES_PER_S": "0.5", "RATE_BURST": "5"}
    with (
        ingest(REDIS_URL=redis_server.url, **limits) as server,
        httpx.Client(base_url=server.url) as api,
    ):
        wait_until(lambda: api.get("/health").status_code == 200)
        path = "/api/v1/drivers/d/location"
        found = [api.post(path, json=fix).status_code for _ in range(7)]
        assert found == [202] * 5 + [429] * 2
        # An Origin leads through Falcon: both ways are worded alike.
        for headers in ({}, {"origin": server.url}):
            answer = api.post(path, json=fix, headers=headers)
            assert answer.json() == {
                "type": "/problems/too-fast",
                "title": "Too Many Requests",
                "status": 429,
                "detail": "this driver sends more than 0.5 fixes a second",
            }
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert 1 <= int(answer.headers["retry-after"]) <= 2
            assert answer.headers["ratelimit-policy"] == '"driver";q=5;w=10'
            assert answer.headers["ratelimit"].startswith('"driver";r=0;t=')
            # What a flooding driver sends is not even looked at.
            assert api.post(path, content=b"{", headers={**headers, **JSON}).status_code == 429
        fixes = [{**fix, "driver_id": "e"} for _ in range(7)]
        fixes[1]["latitude"] = 91
        answer = api.post("/api/v1/drivers/locations", json=fixes)
        assert answer.status_code == 202
        body = answer.json()
        assert (body["accepted"], body["rejected"]) == (5, 2)
        assert [(e["index"], e["field"]) for e in body["errors"]] == [(1, "latitude"), (6, "rate")]
        assert int(answer.headers["retry-after"]) >= 1
        assert api.post("/api/v1/drivers/locations", json=fixes).status_code == 429


def test_refused_fixes_cost_their_sender_its_rate(redis_server: AnyRedis) -> None:
    """Broken fixes cost no rate, and judging them held up everybody else."""
    limits = {"RATE_FIXES_PER_S": "0.5", "RATE_BURST": "5"}
    broken = {"latitude": 91.0, "longitude": 2.0}
    with (
        ingest(REDIS_URL=redis_server.url, **limits, **AUTH) as server,
        httpx.Client(base_url=server.url) as api,
    ):
        phone, honest, shop = (
            bearer(token(*who)) for who in (("driver", "d"), ("driver", "e"), ("gateway", "shop"))
        )
        one, many = "/api/v1/drivers/{}/location", "/api/v1/drivers/locations"
        wait_until(lambda: api.post(one.format("w"), json=FIX, headers=shop).status_code == 202)
        found = [
            api.post(one.format("d"), json=broken, headers=phone).status_code for _ in range(7)
        ]
        assert found == [422] * 6 + [429]
        # Neither way in is looked at any more: what cannot be JSON is answered the same.
        for path in (one.format("d"), many):
            answer = api.post(path, content=b"{", headers={**phone, **JSON})
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) >= 1
        assert api.post(one.format("e"), json=FIX, headers=honest).status_code == 202
        # A batch is charged to the driver who sent it, and not to one that it only names.
        stolen = [{"driver_id": "victim", "latitude": 91}] * 20
        thief = bearer(token("driver", "thief"))
        assert api.post(many, json=stolen, headers=thief).status_code == 403
        assert api.post(one.format("thief"), json=FIX, headers=thief).status_code == 429
        victim = bearer(token("driver", "victim"))
        assert api.post(one.format("victim"), json=FIX, headers=victim).status_code == 202
        batch = [{"driver_id": "e", "latitude": 91}, {"latitude": 91}] * 3
        assert api.post(many, json=batch, headers=honest).status_code == 422
        assert api.post(one.format("e"), json=FIX, headers=honest).status_code == 429
        # A backend's batch is charged to the drivers that it names.
        assert api.post(many, json=[{"driver_id": "x", "latitude": 91}] * 7, headers=shop)
        assert api.post(one.format("x"), json=FIX, headers=shop).status_code == 429
        assert api.post(one.format("f"), json=FIX, headers=shop).status_code == 202
        # So is a body that is none.
        other = bearer(token("driver", "g"))
        noise = api.post(many, content=b"[" * 100_000, headers={**other, **JSON})
        assert noise.status_code == 400
        assert api.post(one.format("g"), json=FIX, headers=other).status_code == 429
