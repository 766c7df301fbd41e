"""Every Redis key and channel, built here and nowhere else.

`{s}` is a cluster hash tag: all keys of a shard share a slot, so a dead letter and its
acknowledgement can be one transaction.
"""

from dataclasses import dataclass
from zlib import crc32

META = "fleetline:meta"
# Bumped when the entries' bytes or the keys' meaning change; an older stack then refuses to start.
FORMAT_VERSION = 1
# The one field of a stream entry; a byte, because it is repeated in every entry.
ENTRY_FIELD = "e"

# Access: API keys (id -> record), when they were last used, revocations (-> since when), and a
# number that every change counts up. One slot, so that a change is one transaction.
ACCESS_KEYS = "fleetline:{access}:keys"
ACCESS_USED = "fleetline:{access}:used"
ACCESS_REVOKED = "fleetline:{access}:revoked"
ACCESS_VERSION = "fleetline:{access}:version"


def shard_of(driver_id: str, shards: int) -> int:
    """Shard of a driver. CRC-32 (zlib), stable across processes, machines and releases."""
    return crc32(driver_id.encode()) % shards


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The keys of one shard."""

    stream: str
    live: str
    geo: str
    seen: str
    dead: str
    consumer: str
    counts: str


def shard_keys(stream_name: str, shard: int) -> ShardKeys:
    """Keys of `shard`; `stream_name` is the setting STREAM_NAME."""
    tag = f"{{{shard}}}"
    return ShardKeys(
        stream=f"{stream_name}:{tag}",
        live=f"live:{tag}",
        geo=f"geo:{tag}",
        seen=f"seen:{tag}",
        dead=f"dead:{tag}",
        consumer=f"consumer:{tag}",
        counts=f"counts:{tag}",
    )


def rate_prefix(shard: int) -> str:
    """What stands before a driver's id in the key of its rate; in the slot of its stream."""
    return f"rate:{{{shard}}}:"


def order_key(order_id: str) -> str:
    """Key of an order's newest event, and the name of its Pub/Sub channel."""
    return f"order:{order_id}"


def order_ended_key(order_id: str) -> str:
    """Marker that an order is complete: whoever shows an order to anybody looks here first."""
    return f"order-ended:{order_id}"


def fleet_channel(shard: int) -> str:
    """Pub/Sub channel with one message per live batch of a shard, for operators' maps."""
    return f"fleet:{shard}"
