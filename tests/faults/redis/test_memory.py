"""The database is away until what waits has filled Redis' memory as far as it may."""

import asyncio
import re
import time

import httpx
import redis

from tests.roles.shard import Shard, shard, worker_settings, working
from tests.servers import valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.wait import until, wait_until

MANY = "/api/v1/drivers/locations"
FIX = {"latitude": 53.4, "longitude": -2.9, "speed": 30.5, "heading": 180, "order_id": "order-1"}
BODY = 1000
# Whom everybody knows before: a fleet that grows takes memory of its own.
DRIVERS = [f"d-{number % 100}" for number in range(BODY)]
# Room for some thirty of these bodies.
MORE_BYTES = 12_000_000
# Refused for so long, longer than ingest takes to look again, is refused for good.
REFUSED_S = 1.5


def send(api: httpx.Client, number: int) -> httpx.Response:
    body = [{"driver_id": driver, **FIX, "latitude": number / 8} for driver in DRIVERS]
    return api.post(MANY, json=body)


def fill(api: httpx.Client) -> int:
    """Send bodies, each from further north, until they are refused; how many were accepted."""
    accepted = 0
    refused_at: list[float] = []

    def is_full() -> bool:
        nonlocal accepted
        answer = send(api, accepted + 1)
        if answer.status_code == 202:
            assert answer.json()["accepted"] == BODY
            accepted += 1
            refused_at.clear()
            return False
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        refused_at.append(time.monotonic())
        return refused_at[-1] - refused_at[0] > REFUSED_S

    wait_until(is_full, timeout_s=30, what="Redis to have no memory for more")
    return accepted


def refusals_of_redis(server: IngestServer) -> float:
    page = httpx.get(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5).text
    found = re.search(r"^fleetline_redis_refusals_total (\S+)$", page, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def locked(it: Shard) -> None:
    await it.database.execute("BEGIN")
    await it.database.execute("LOCK TABLE locations IN ACCESS EXCLUSIVE MODE")


def test_fixes_are_refused_in_time_live_goes_on_and_all_accepted_are_stored(database_url):
    """Redis itself refuses nothing: a tenth of its memory is left to live positions."""
    with (
        valkey("--maxmemory-policy", "noeviction") as server,
        ingest(REDIS_URL=server.url, SHARDS="1", RATE_FIXES_PER_S="0") as door,
        httpx.Client(base_url=door.url, timeout=5) as api,
        redis.Redis.from_url(server.url) as client,
    ):
        servers = server.url, database_url

        async def main():
            settings = worker_settings(*servers, shards=1)
            async with shard(*servers, shards=1) as it, working(settings):
                assert send(api, 0).status_code == 202
                await it.stored(BODY)
                await locked(it)
                used = client.info("memory")["used_memory"]
                client.config_set("maxmemory", used + MORE_BYTES)
                accepted = await asyncio.to_thread(fill, api)
                assert accepted > 10
                # What was accepted last is on the map, and another key can be written.
                await until(lambda: is_at(it, accepted), what="the last on the map")
                client.set("anything", "x" * 1000)
                room = (await asyncio.to_thread(api.get, "/health")).json()["room"]
                assert room["shards"][0]["fixes"] < BODY
                assert room["servers"][0]["room_bytes"] < BODY * 1000
                await it.database.execute("ROLLBACK")
                await it.stored((accepted + 1) * BODY)
                assert await it.count() == (accepted + 1) * BODY
                assert await it.dead() == []
                await until(takes_again, what="fixes to be taken again")

        async def is_at(it, number):
            return f'"latitude":{number / 8}'.encode() in (await it.live(DRIVERS[-1]) or b"")

        async def takes_again():
            return (await asyncio.to_thread(send, api, 0)).status_code == 202

        asyncio.run(main())
        assert refusals_of_redis(door) == 0
