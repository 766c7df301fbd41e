"""What is in a stream, event by event."""

import json
from typing import Any

import redis

from common.keys import ENTRY_FIELD, shard_keys
from common.stream.pack import count_events, split_pack
from tests.servers import RedisServer

STREAM = shard_keys("driver-locations", 0, 1).stream


def take_events(broker: RedisServer, stream: str = STREAM) -> list[dict[str, Any]]:
    """The events in a stream, in their order; it is empty afterwards."""
    with redis.Redis(port=broker.port) as client:
        entries: Any = client.xrange(stream)
        client.delete(stream)
    packs = [fields[ENTRY_FIELD.encode()] for _, fields in entries]
    return [json.loads(event) for pack in packs for event in split_pack(pack)]


def packs_in(port: int, stream: str) -> list[tuple[str, bytes]]:
    """(entry id, pack) of each entry of a stream, in their order."""
    with redis.Redis(port=port) as client:
        entries: Any = client.xrange(stream)
    return [(name.decode(), fields[ENTRY_FIELD.encode()]) for name, fields in entries]


def fixes_in(port: int, stream: str) -> int:
    """Fixes in a stream."""
    return sum(count_events(pack) for _, pack in packs_in(port, stream))
