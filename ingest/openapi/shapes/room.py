"""What `/health` says of the room for fixes that wait to be stored, for the API's description."""

from typing import Annotated

import msgspec
from msgspec import Meta

Lasts = Annotated[
    float | None,
    Meta(description="seconds that the room lasts at the pace of the last minute; null: for ever"),
]
Outage = Annotated[
    float | None,
    Meta(description="seconds that it would last if nothing were stored; null: no fix comes"),
]


class ShardSpace(msgspec.Struct):
    """One shard, as far as BACKLOG_MAX and its share of the memory go."""

    shard: int
    fixes: Annotated[int, Meta(description="fixes that it still takes")]
    lasts_s: Lasts
    outage_s: Outage


class ServerSpace(msgspec.Struct):
    """One Redis, in a cluster a primary; the seconds are those of its shard that ends first."""

    shards: Annotated[list[int], Meta(description="the shards that share it")]
    lasts_s: Lasts
    outage_s: Outage
    used_bytes: int
    limit_bytes: Annotated[int | None, Meta(description="null: it says none")]
    room_bytes: Annotated[
        int | None, Meta(description="what waiting fixes may still take; below 0: too much")
    ]
    fix_bytes: Annotated[int, Meta(description="memory that a waiting fix takes, as measured")]


class RoomLeft(msgspec.Struct):
    """Room for fixes that wait; the seconds are those of the shard whose room ends first."""

    lasts_s: Lasts
    outage_s: Outage
    shards: list[ShardSpace]
    servers: list[ServerSpace]
