"""What is in a stream, event by event."""

import json
from typing import Any

from common.keys import ENTRY_FIELD, shard_keys
from common.redis.client import new_client
from common.stream.pack import count_events, split_pack
from tests.servers.redis_cluster import AnyRedis

STREAM = shard_keys("driver-locations", 0, 1).stream


def take_events(broker: AnyRedis, stream: str = STREAM) -> list[dict[str, Any]]:
    """The events in a stream, in their order; it is empty afterwards."""
    with new_client(broker.url, decode=False) as client:
        entries: Any = client.xrange(stream)
        client.delete(stream)
    packs = [fields[ENTRY_FIELD.encode()] for _, fields in entries]
    return [json.loads(event) for pack in packs for event in split_pack(pack)]


def packs_in(broker: AnyRedis, stream: str) -> list[tuple[str, bytes]]:
    """(entry id, pack) of each entry of a stream, in their order."""
    with new_client(broker.url, decode=False) as client:
        entries: Any = client.xrange(stream)
    return [(name.decode(), fields[ENTRY_FIELD.encode()]) for name, fields in entries]


def fixes_in(broker: AnyRedis, stream: str) -> int:
    """Fixes in a stream."""
    return sum(count_events(pack) for _, pack in packs_in(broker, stream))
