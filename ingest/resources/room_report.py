"""How long the shards still take fixes, as `/health` says it. Pure."""

import math
from collections.abc import Sequence
from typing import Any

from ingest.intake.room import ServerRoom, ShardRoom


def room_report(servers: Sequence[ServerRoom]) -> dict[str, Any]:
    """The shortest of all shards, then each shard, then each Redis that tells of its memory.

    Seconds are null where the room lasts for ever: nothing grows, or no fix comes.
    """
    rooms = {
        shard: room
        for server in servers
        for shard, room in zip(server.shards, server.rooms, strict=True)
    }
    return {
        **_times(list(rooms.values())),
        "shards": [
            {"shard": shard, "fixes": room.fixes, **_times([room])}
            for shard, room in sorted(rooms.items())
        ],
        "servers": [
            {
                "shards": list(server.shards),
                **_times(server.rooms),
                "used_bytes": server.memory.used_bytes,
                "limit_bytes": server.memory.limit_bytes or None,
                "room_bytes": server.memory.room_bytes,
                "fix_bytes": server.fix_bytes,
            }
            for server in servers
            if server.memory is not None
        ],
    }


def _times(rooms: Sequence[ShardRoom]) -> dict[str, float | None]:
    return {
        "lasts_s": _finite(min((room.lasts_s for room in rooms), default=math.inf)),
        "outage_s": _finite(min((room.outage_s for room in rooms), default=math.inf)),
    }


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds, 1)
