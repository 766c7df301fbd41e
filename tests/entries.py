"""What is in a stream, event by event."""

import json
from typing import Any

import redis

from common.keys import ENTRY_FIELD
from tests.servers import RedisServer

STREAM = "driver-locations:{0}"


def take_events(broker: RedisServer, stream: str = STREAM) -> list[dict[str, Any]]:
    """The events in a stream, in their order; it is empty afterwards."""
    with redis.Redis(port=broker.port) as client:
        entries: Any = client.xrange(stream)
        client.delete(stream)
    packs = [fields[ENTRY_FIELD.encode()] for _, fields in entries]
    return [json.loads(line) for pack in packs for line in pack.splitlines()]
