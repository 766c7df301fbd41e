"""Every Redis key and channel, built here and nowhere else.

What stands in braces is a cluster hash tag: keys of one tag share a slot, so one command or
transaction may hold several of them. A shard's keys share one tag, and an order's keys another.
"""

from dataclasses import dataclass
from zlib import crc32

from common.slots import shard_tags, spread_tags

# What STREAM_NAME is unless somebody sets it.
STREAM_NAME = "driver-locations"
META = "fleetline:meta"
# Bumped when the entries' bytes or the keys' meaning change; an older stack then refuses to start,
# and a newer one carries over what is there (`common.redis.carry_over`).
FORMAT_VERSION = 3
# Field of META: the format that the data had before this one. Roles of the release before may still
# write under its names, so workers look for such entries.
CARRIED_FROM = "carried_from"
# Number of the first layout of shards. Another layout has another number, and keys of its own.
FIRST_EPOCH = 1
# Orders share this many tags: enough to spread over any cluster, and few enough that a batch of
# orders is read with few commands. Changing it loses the markers of ended orders.
ORDER_BUCKETS = 64
# The one field of a stream entry, a pack (`common.stream.pack`). A byte: every entry repeats it.
ENTRY_FIELD = "e"

# Access: API keys (id -> record), when they were last used, revocations (-> since when), and a
# number that every change counts up. One slot, so that a change is one transaction.
ACCESS_KEYS = "fleetline:{access}:keys"
ACCESS_USED = "fleetline:{access}:used"
ACCESS_REVOKED = "fleetline:{access}:revoked"
ACCESS_VERSION = "fleetline:{access}:version"
# What became of phone apps' items that were not stored as they were sent: `<app>:<reason>` -> n.
APP_COUNTS = "fleetline:{apps}:counts"
# Pub/Sub channel of what happened (`common.events`), each as the feed has it.
EVENTS_CHANNEL = "fleetline:events"

# The hosts that share the shards, by when they were last heard of; what each says of itself; those
# that are to hand over; and a stream with an entry for each that comes, goes or hands over.
HOSTS = "fleetline:{hosts}"
HOSTS_SAID = "fleetline:{hosts}:said"
HOSTS_DRAINED = "fleetline:{hosts}:drained"
HOSTS_NEWS = "fleetline:{hosts}:news"
# Who changes the number of shards: one command at a time (`deploy.tools.shards.alone`).
RESHARDER = "fleetline:resharder"

# A stream of the ids of orders that have changed, for workers that remember them. An entry without
# an id means all of them.
ORDER_CHANGES = "fleetline:{orders}:changes"
# Who works out arrivals: one process of all (`consumers.arrivals.lead`).
ARRIVALS_LEADER = "fleetline:{arrivals}:leader"
# The field of a book that Redis loses with it; it is no id.
BOOK_KEPT = "."


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
    # Entry id up to which the live stage has read, and the lease of the shard's writer.
    cursor: str
    consumer: str
    # A number that grows each time that the lease is taken.
    fence: str
    # The newest entry id of a stream that takes no more: another layout is written.
    closed: str
    counts: str
    # What stands before a driver's id in the key of its rate.
    rate: str
    # Entry id up to which the places engine has read; expires when that does not live.
    places: str
    # Never exists: what would be written there is refused when a fix would be.
    probe: str
    # Pub/Sub channel with one message per live batch of the shard, for operators' maps.
    fleet: str


def shard_keys(stream_name: str, shard: int, shards: int, epoch: int = FIRST_EPOCH) -> ShardKeys:
    """Keys of `shard` of `shards` in the layout `epoch`; `stream_name` is STREAM_NAME."""
    return tagged_keys(stream_name, shard_tags(shards, epoch)[shard])


def tagged_keys(stream_name: str, tag: str) -> ShardKeys:
    """The keys that have `tag`."""
    return ShardKeys(
        stream=f"{stream_name}:{tag}",
        live=f"live:{tag}",
        geo=f"geo:{tag}",
        seen=f"seen:{tag}",
        dead=f"dead:{tag}",
        cursor=f"cursor:{tag}",
        consumer=f"consumer:{tag}",
        fence=f"fence:{tag}",
        closed=f"closed:{tag}",
        counts=f"counts:{tag}",
        rate=f"rate:{tag}:",
        places=f"places:{tag}",
        probe=f"probe:{tag}",
        fleet=f"fleet:{tag}",
    )


_ORDER_TAGS = spread_tags("o", ORDER_BUCKETS)


def order_bucket(order_id: str) -> int:
    """Which of the `ORDER_BUCKETS` tags the keys of an order have."""
    return crc32(order_id.encode()) % ORDER_BUCKETS


def order_key(order_id: str) -> str:
    """Key of an order's newest event, and the name of its Pub/Sub channel."""
    return f"order:{_ORDER_TAGS[order_bucket(order_id)]}:{order_id}"


def probe_channel(unique: str, bucket: int = 0) -> str:
    """Channel on which a process proves that it hears the server of a bucket."""
    return f"fanout-probe:{_ORDER_TAGS[bucket]}:{unique}"


def order_ended_key(order_id: str) -> str:
    """Marker that an order is complete: it is read before the order is shown to anybody."""
    return f"order-ended:{_ORDER_TAGS[order_bucket(order_id)]}:{order_id}"


def order_arrival_key(order_id: str) -> str:
    """When the order's driver arrives, as the frame that customers get (`common.arrivals`)."""
    return f"order-arrival:{_ORDER_TAGS[order_bucket(order_id)]}:{order_id}"


def order_book_key(bucket: int) -> str:
    """Active orders of a bucket: order id -> the order's JSON. `BOOK_KEPT` says it is complete."""
    return f"order-book:{_ORDER_TAGS[bucket]}"


def order_due_key(bucket: int) -> str:
    """Orders of a bucket that have ended in Redis, and not yet in the database: id -> when."""
    return f"order-due:{_ORDER_TAGS[bucket]}"
