"""POST one and POST many are answered the same whether Falcon sees them or not.

Any `Origin` header sends a request to Falcon, so each case is asked both ways.
"""

import re
import time
from typing import Any

import httpx
import orjson
import pytest

from common.keys import shard_keys, shard_of
from tests.integration.ingest.test_ingest_http import SHARDS
from tests.servers.redis_cluster import AnyRedis

PATH = "/api/v1/drivers/{}/location"
JSON = {"content-type": "application/json"}
CHARSET = {"content-type": "application/json; charset=utf-8"}
FIX = {"latitude": 1.5, "longitude": -2.5, "speed": 3.0}

CASES: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "good": ("d-1", orjson.dumps(FIX), JSON),
    "with a charset": ("d-1", orjson.dumps(FIX), CHARSET),
    "without a type": ("d-1", orjson.dumps(FIX), {}),
    "another type": ("d-1", orjson.dumps(FIX), {"content-type": "text/plain"}),
    "empty": ("d-1", b"", JSON),
    "not JSON": ("d-1", b"{", JSON),
    "neither JSON nor an object": ("d-1", b"[1,", JSON),
    "not UTF-8": ("d-1", b'{"latitude":1,"longitude":2,"order_id":"\xff"}', JSON),
    "out of range": ("d-1", orjson.dumps({**FIX, "latitude": 91}), JSON),
    "from the future": ("d-1", orjson.dumps({**FIX, "recorded_at": time.time() + 9e5}), JSON),
    "too long": ("d-1", b" " * 100_000, JSON),
    "a bad id": ("a%20b", orjson.dumps(FIX), JSON),
    "a slash in the id": ("a%2Fb", orjson.dumps(FIX), JSON),
    "no id": ("", orjson.dumps(FIX), JSON),
    "an escaped good id": ("%64-1", orjson.dumps(FIX), JSON),
}  # fmt: skip


def seen(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """What must be the same: not the message's id, the time, or what a browser is told."""
    body: Any = answer.json() if answer.content else None
    if answer.status_code == 202:
        body = {**body, "message_id": "", "recorded_at": ""}
    elif body:
        # Times in a refusal's text.
        body["detail"] = "".join(c for c in body["detail"] if not c.isdigit())
        body.pop("errors", None)
    headers = {
        k: v
        for k, v in answer.headers.items()
        if k in {"content-type", "connection", "cache-control"}
    }
    return answer.status_code, headers, body


@pytest.mark.parametrize("case", CASES)
def test_both_ways_say_the_same(case: str, api: httpx.Client) -> None:
    driver_id, body, headers = CASES[case]
    path = PATH.format(driver_id)
    direct = api.post(path, content=body, headers=headers)
    falcon = api.post(
        path, content=body, headers={**headers, "origin": str(api.base_url).rstrip("/")}
    )
    assert seen(direct) == seen(falcon)


MANY = "/api/v1/drivers/locations"
ITEM = {"driver_id": "d-1", **FIX}
BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "good": (orjson.dumps([ITEM, ITEM]), JSON),
    "in an object": (orjson.dumps({"locations": [ITEM]}), JSON),
    "with a charset": (orjson.dumps([ITEM]), CHARSET),
    "without a type": (orjson.dumps([ITEM]), {}),
    "another type": (orjson.dumps([ITEM]), {"content-type": "text/plain"}),
    "empty": (b"", JSON),
    "nothing in it": (b"[]", JSON),
    "not JSON": (b"[", JSON),
    "not a list": (orjson.dumps(ITEM), JSON),
    "one is bad": (orjson.dumps([ITEM, {**ITEM, "latitude": 91}]), JSON),
    "all are bad": (orjson.dumps([{**ITEM, "latitude": 91}, {"driver_id": "x"}]), JSON),
    "too many": (orjson.dumps([ITEM] * 1001), JSON),
    "too long": (b" " * 2_000_000, JSON),
    "encoded": (orjson.dumps([ITEM]), {**JSON, "content-encoding": "gzip"}),
    "named": (orjson.dumps([ITEM]), {**JSON, "x-request-id": "r-1"}),
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
def test_both_ways_say_the_same_of_many(case: str, api: httpx.Client) -> None:
    body, headers = BODIES[case]
    direct = api.post(MANY, content=body, headers=headers)
    falcon = api.post(
        MANY, content=body, headers={**headers, "origin": str(api.base_url).rstrip("/")}
    )
    if direct.status_code == 202:
        assert direct.json() == falcon.json()
    else:
        assert seen(direct) == seen(falcon)
        assert direct.json().get("errors") == falcon.json().get("errors")
    assert direct.headers.get("x-request-id") == falcon.headers.get("x-request-id")


@pytest.mark.cluster_too
def test_a_body_in_parts_and_a_body_at_once_are_one_fix_each(api: httpx.Client, store: Any) -> None:
    body = orjson.dumps(FIX)
    parts = iter([body[:10], body[10:]])
    assert api.post(PATH.format("d-1"), content=parts, headers=JSON).status_code == 202
    assert api.post(PATH.format("d-1"), content=body, headers=JSON).status_code == 202
    stream = shard_keys("driver-locations", shard_of("d-1", SHARDS), SHARDS).stream
    assert store.xlen(stream) == 2


def refused_entries(redis_server: AnyRedis) -> int:
    """Entries that servers have refused so far."""
    said = b"".join(redis_server.each("INFO", "commandstats"))
    counts = re.findall(rb"cmdstat_xadd:.*rejected_calls=([0-9]+),failed_calls=([0-9]+)", said)
    return sum(int(count) for pair in counts for count in pair)


def test_a_fix_that_redis_refuses_is_offered_once(
    api: httpx.Client, redis_server: AnyRedis
) -> None:
    assert api.post(PATH.format("d-1"), content=orjson.dumps(FIX), headers=JSON).status_code == 202
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    before = refused_entries(redis_server)
    try:
        answer = api.post(PATH.format("d-1"), content=orjson.dumps(FIX), headers=JSON)
        after = refused_entries(redis_server)
    finally:
        redis_server.command("CONFIG", "SET", "maxmemory", "0")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert after - before == 1
