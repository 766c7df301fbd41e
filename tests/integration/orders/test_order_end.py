"""The end of an order is told when it is kept, and not otherwise."""

import itertools
from typing import Any

import httpx
import redis

from common.keys import order_ended_key, order_key
from tests.servers import valkey
from tests.servers.ingest_server import ingest
from tests.wait import wait_until

COMPLETE = "/api/v1/orders/o1/complete"
SNAPSHOT = b'{"driver_id":"d"}'


def told(pubsub: Any) -> list[bytes]:
    """What has been published by now; a message of our own marks the end of it."""
    messages = (message["data"] for message in pubsub.listen() if message["type"] == "message")
    return list(itertools.takewhile(lambda data: data != b"end", messages))


def test_a_full_redis_keeps_no_end_and_tells_none() -> None:
    """Watchers were told `tracking_ended`, which means not to come back, and nothing had ended."""
    with (
        valkey() as server,
        ingest(REDIS_URL=server.url) as running,
        httpx.Client(base_url=running.url) as api,
        redis.Redis(port=server.port) as store,
        store.pubsub() as pubsub,
    ):
        wait_until(lambda: api.get("/health").status_code == 200)
        store.set(order_key("o1"), SNAPSHOT)
        pubsub.subscribe(order_key("o1"))
        wait_until(lambda: store.pubsub_numsub(order_key("o1"))[0][1] == 1)
        store.config_set("maxmemory", "1")
        try:
            answer = api.post(COMPLETE)
        finally:
            store.config_set("maxmemory", "0")
        assert answer.status_code == 503
        assert store.exists(order_ended_key("o1")) == 0
        assert store.get(order_key("o1")) == SNAPSHOT
        store.publish(order_key("o1"), "end")
        assert told(pubsub) == []

        assert api.post(COMPLETE).status_code == 202
        assert (store.exists(order_ended_key("o1")), store.exists(order_key("o1"))) == (1, 0)
        store.publish(order_key("o1"), "end")
        [frame] = told(pubsub)
        assert b"tracking_ended" in frame
