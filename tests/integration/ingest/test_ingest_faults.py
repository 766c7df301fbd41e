"""Redis that is gone, silent, full or slow: 503 within two seconds, and fixes again after."""

import os
import re
import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from common.errors import EXIT_CONFIG
from common.shards import Shards
from tests.servers import free_port, valkey
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

SHARDS = Shards("driver-locations", 4)

FIX = {"latitude": 1.0, "longitude": 2.0}
ONE = "/api/v1/drivers/d/location"


@pytest.fixture(scope="module")
def server(redis_session: AnyRedis) -> AnyRedis:
    """The Redis, which is mistreated here."""
    redis_session.clear()
    return redis_session


@pytest.fixture(scope="module")
def process(server: AnyRedis) -> Iterator[IngestServer]:
    with ingest(REDIS_URL=server.url, BACKLOG_MAX="50") as found:
        yield found


@pytest.fixture
def api(server: AnyRedis, process: IngestServer) -> Iterator[httpx.Client]:
    server.clear()
    with httpx.Client(base_url=process.url, timeout=5) as client:
        wait_until(lambda: accepts(client), what="ingest to accept")
        server.clear()
        wait_until(lambda: client.get("/health").json()["backlog"] == 0)
        yield client


def accepts(client: httpx.Client) -> bool:
    return client.post(ONE, json=FIX).status_code == 202


def assert_refuses(client: httpx.Client) -> None:
    """Everything that needs Redis answers 503 with Retry-After in time."""
    requests = [
        ("POST", ONE, FIX),
        ("POST", "/api/v1/drivers/locations", [{**FIX, "driver_id": "d"}]),
        ("GET", ONE, None),
        ("GET", "/api/v1/drivers/nearby?lat=1&lng=2", None),
        ("GET", "/api/v1/orders/o/location", None),
        ("POST", "/api/v1/orders/o/complete", None),
    ]
    for method, path, body in requests:
        begin = time.monotonic()
        answer = client.request(method, path, json=body)
        assert time.monotonic() - begin < 2.0, path
        assert answer.status_code == 503, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1


def health(client: httpx.Client) -> httpx.Response:
    begin = time.monotonic()
    answer = client.get("/health")
    assert time.monotonic() - begin < 1.0
    return answer


@pytest.mark.cluster_too
def test_a_dead_redis_is_503_and_heals(api: httpx.Client, server: AnyRedis) -> None:
    server.kill()
    try:
        assert_refuses(api)
        wait_until(lambda: health(api).status_code == 503)
        found = health(api).json()
        assert (found["status"], found["redis"]) == ("down", "down")
        assert api.get("/health/live").status_code == 200
    finally:
        server.start()
    wait_until(lambda: accepts(api), what="fixes to be accepted again")


def test_a_silent_redis_is_503_in_time_and_heals(api: httpx.Client, server: AnyRedis) -> None:
    server.freeze()
    try:
        wait_until(lambda: health(api).status_code == 503)
        assert_refuses(api)
    finally:
        server.thaw()
    wait_until(lambda: accepts(api), what="fixes to be accepted again")


def test_many_requests_in_flight_all_fail_in_time(api: httpx.Client, server: AnyRedis) -> None:
    server.freeze()
    try:
        begin = time.monotonic()
        assert api.post(ONE, json=FIX).status_code == 503
        assert time.monotonic() - begin < 2.0
    finally:
        server.thaw()
    wait_until(lambda: accepts(api))


def test_a_full_redis_is_503_never_a_false_202(api: httpx.Client, server: AnyRedis) -> None:
    server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        answer = api.post(ONE, json=FIX)
        assert answer.status_code == 503
        # What Redis said names its insides; it is for the log.
        assert "OOM" not in answer.text
        batch = [{**FIX, "driver_id": f"d{i}"} for i in range(8)]
        assert api.post("/api/v1/drivers/locations", json=batch).status_code == 503
        assert api.get(ONE).status_code == 404
        wait_until(lambda: health(api).status_code == 503)
        found = health(api).json()
        assert (found["status"], found["redis"]) == ("down", "up")
    finally:
        server.command("CONFIG", "SET", "maxmemory", "0")
    assert accepts(api)


def await_poll(server: AnyRedis) -> None:
    """Until ingest has asked for the streams' lengths after now."""
    server.command("CONFIG", "RESETSTAT")

    # Only the poll of the backlog asks for lengths while nobody asks for health: once for each of
    # four shards. The second one began after the first was answered.
    def polled() -> bool:
        said = b"".join(server.each("INFO", "commandstats"))
        return sum(map(int, re.findall(rb"cmdstat_xlen:calls=(\d+)", said))) >= 8

    wait_until(polled, what="two polls")


def test_a_full_shard_refuses_until_it_drains(api: httpx.Client, server: AnyRedis) -> None:
    await_poll(server)
    statuses = [api.post(ONE, json=FIX).status_code for _ in range(60)]
    assert statuses == [202] * 50 + [503] * 10
    answer = api.post(ONE, json=FIX)
    assert int(answer.headers["retry-after"]) >= 1
    # Another shard still takes fixes: some are accepted, so this is not "down".
    assert api.post("/api/v1/drivers/e/location", json=FIX).status_code == 202
    wait_until(lambda: health(api).json()["status"] == "degraded")
    room = health(api).json()["room"]
    [full] = [shard for shard in room["shards"] if shard["fixes"] == 0]
    assert (room["lasts_s"], full["lasts_s"], full["shard"]) == (0, 0, SHARDS.of("d").index)
    # The shards of a server share it, and the tests set it no limit.
    assert sorted(n for redis in room["servers"] for n in redis["shards"]) == [0, 1, 2, 3]
    for redis in room["servers"]:
        assert 0 < redis["used_bytes"] < redis["room_bytes"] < redis["limit_bytes"]
    server.clear()
    wait_until(lambda: accepts(api), what="the shard to take fixes again")


def test_a_batch_that_does_not_fit_is_refused_whole(api: httpx.Client, server: AnyRedis) -> None:
    await_poll(server)
    batch = [{**FIX, "driver_id": "d"}] * 51
    assert api.post("/api/v1/drivers/locations", json=batch).status_code == 503
    assert api.get("/health").json()["backlog"] == 0
    assert api.post("/api/v1/drivers/locations", json=batch[:50]).status_code == 202


@pytest.mark.cluster_too
def test_health_tells_of_consumers_and_dead_letters(api: httpx.Client, server: AnyRedis) -> None:
    for shard in range(4):
        server.command("SET", SHARDS[shard].keys.consumer, "1", "EX", "10")
    keys = SHARDS[1].keys
    stream, dead = keys.stream, keys.dead
    server.command("XGROUP", "CREATE", stream, "location-processors", "0", "MKSTREAM")
    for pack in ("x", "x\nx\nx", "x\nx"):
        server.command("XADD", stream, "*", "e", pack)
    server.command("HSET", keys.counts, "added", "16", "settled", "10")
    server.command("XADD", dead, "*", "e", "x")
    reader = ("XREADGROUP", "GROUP", "location-processors", "c", "COUNT", "2")
    server.command(*reader, "STREAMS", stream, ">")
    wait_until(lambda: health(api).json()["dead_letters"] == 1)
    found = health(api).json()
    assert found["status"] == "degraded"
    assert (found["redis"], found["database"]) == ("up", "down")
    assert (found["pending_messages"], found["backlog"]) == (4, 2)
    shard = found["shards"][1]
    assert shard["oldest_pending_ms"] >= 0
    assert shard == {
        "shard": 1, "backlog": 2, "pending": 4, "dead_letters": 1, "consumer": "up",
        "oldest_pending_ms": shard["oldest_pending_ms"],
    }  # fmt: skip
    server.command("DEL", SHARDS[2].keys.consumer)
    wait_until(lambda: health(api).json()["shards"][2]["consumer"] == "down")


def test_ingest_starts_without_redis_and_takes_fixes_when_it_comes() -> None:
    with valkey() as server:
        server.stop()
        with ingest(REDIS_URL=server.url) as process, httpx.Client(base_url=process.url) as client:
            assert_refuses(client)
            server.start()
            wait_until(lambda: accepts(client))


def test_another_number_of_shards_is_refused_at_the_start(redis_server: AnyRedis) -> None:
    redis_server.command("HSET", "fleetline:meta", "shards", "3", "format", "1")
    server = IngestServer(REDIS_URL=redis_server.url)
    with pytest.raises(RuntimeError, match=f"left with {EXIT_CONFIG}"):
        server.start()


def refusal(client: httpx.Client) -> str:
    answer = client.post(ONE, json=FIX)
    assert answer.status_code == 503
    detail: str = answer.json()["detail"]
    return detail


def test_another_number_of_shards_is_noticed_when_redis_comes_later() -> None:
    with valkey() as server:
        server.command("HSET", "fleetline:meta", "shards", "3", "format", "1")
        server.stop()
        with ingest(REDIS_URL=server.url) as process, httpx.Client(base_url=process.url) as client:
            server.start()
            wait_until(lambda: "shards" in refusal(client))


def test_a_second_ingest_does_not_share_the_port(redis_server: AnyRedis) -> None:
    with ingest(REDIS_URL=redis_server.url) as first:
        second = IngestServer(REDIS_URL=redis_server.url, INGEST_PORT=str(first.port))
        second.url = "http://127.0.0.1:9"
        with pytest.raises(RuntimeError, match="left with 1"):
            second.start()


def test_ingest_stops_in_order(redis_server: AnyRedis) -> None:
    server = IngestServer(REDIS_URL=redis_server.url)
    server.start()
    assert server.stop() == 0


def test_no_worker_outlives_its_main_process(redis_server: AnyRedis) -> None:
    with ingest(REDIS_URL=redis_server.url, INGEST_WORKERS="2") as server:
        workers = server.process.children()
        assert len(workers) >= 2
        os.kill(server.process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=3)
        assert alive == []


def test_a_worker_that_died_is_replaced(redis_server: AnyRedis) -> None:
    with ingest(REDIS_URL=redis_server.url) as server:
        [worker] = server.process.children()
        os.kill(worker.pid, signal.SIGKILL)

        def lives() -> bool:
            try:
                return httpx.post(f"{server.url}{ONE}", json=FIX, timeout=1).status_code == 202
            except httpx.TransportError:
                return False

        wait_until(lives, timeout_s=15)


def test_a_start_at_a_dead_address_is_not_a_config_error() -> None:
    with (
        ingest(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as process,
        httpx.Client(base_url=process.url) as client,
    ):
        assert health(client).status_code == 503
