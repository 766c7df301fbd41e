"""What the consumers say: live state and history out, shard by shard."""

from common.metrics import buckets
from common.metrics.metric import Merge, counter, gauge, histogram

_SHARD = ("shard",)

SHARD_OWNER = gauge(
    "fleetline_shard_owner",
    "1 on the host whose worker holds the shard's lease.",
    "No series for a shard, or two: it has no writer, or two hosts believe that they are it.",
    ("shard", "host"),
)
LEASE_AGE = gauge(
    "fleetline_lease_age_seconds",
    "Since the worker last confirmed its lease; it does once a second, and it expires after 7.",
    "Above 4: another host may take the shard.",
    _SHARD,
    Merge.MOST,
)
HOSTS_SEEN = gauge(
    "fleetline_hosts",
    "Hosts that share the shards, as this one sees them.",
    "Fewer than there are: one of them does not reach Redis, or speaks to another.",
)
DRIVERS = gauge("fleetline_drivers", "Drivers with a live position.", "", _SHARD)
LIVE_FIXES = counter(
    "fleetline_live_fixes_total",
    "Fixes that the live stage has worked off: on the map, or older than what is there.",
    "It stands still while fixes are accepted: customers see nothing move.",
    _SHARD,
)
LIVE_AGE = histogram(
    "fleetline_live_age_seconds",
    "From a fix's arrival at ingest to its live position being written and published.",
    "The 99th percentile above 0.5 s for minutes.",
    _SHARD,
    bounds=buckets.FRAME_S,
)
LIVE_TROUBLES = counter(
    "fleetline_live_troubles_total",
    "Times that the live stage had to wait because Redis was away or refused.",
    "It keeps growing.",
    _SHARD,
)
LIVE_UNWRITTEN = gauge(
    "fleetline_live_unwritten",
    "Positions that Redis has not taken yet (its memory is full); they are written once it does.",
    "Above 0 for a minute.",
    _SHARD,
)
STORED_ROWS = counter("fleetline_stored_rows_total", "Fixes that are in the history.", "", _SHARD)
STORE_AGE = histogram(
    "fleetline_store_age_seconds",
    "From a fix's arrival at ingest to its row's commit.",
    "The 99th percentile above 5 s for minutes.",
    _SHARD,
    bounds=buckets.ROW_AGE_S,
)
STORE_SECONDS = histogram(
    "fleetline_store_seconds",
    "One transaction of the history, whatever came of it.",
    "The 99th percentile above 2 s: the database is slow or waits for a lock.",
    _SHARD,
    bounds=buckets.STORE_S,
)
STORE_BATCHES = counter(
    "fleetline_store_batches_total",
    "Batches stored, by `way`: `copy`, or `staged` where some of it may be stored already.",
    "Mostly `staged`: clients send what was accepted before.",
    ("shard", "way"),
)
STORE_TROUBLES = counter(
    "fleetline_store_troubles_total",
    "Times that the history stage had to wait: the database or Redis was away, or refused.",
    "It keeps growing; see `fleetline_database_up`.",
    _SHARD,
)
DATABASE_UP = gauge(
    "fleetline_database_up",
    "1 when the shard's last statement succeeded, 0 when it found the database unavailable.",
    "0 for a minute: fixes wait in the streams, live goes on.",
    _SHARD,
    Merge.LEAST,
)
REPEATS = counter(
    "fleetline_repeats_total",
    "Fixes that came again and were stored once: a client's retry, a redelivery.",
    "",
    _SHARD,
)
DEAD_LETTERS = counter(
    "fleetline_dead_letters_total",
    "Fixes that can never be stored, by reason: put aside with `fleetline dead`.",
    "Any.",
    ("shard", "reason"),
)
DEAD_LETTERS_WAITING = gauge(
    "fleetline_dead_letters_waiting",
    "Dead letters that nobody has replayed or purged.",
    "Above 0: `fleetline dead list`.",
    _SHARD,
)
GROUPS_LOST = counter(
    "fleetline_groups_lost_total",
    "Times that Redis forgot the consumer group: a flush, or a start without its data.",
    "Any: accepted fixes may be lost.",
    _SHARD,
)
ENTRIES_LOST = counter(
    "fleetline_entries_lost_total",
    "Entries that somebody else deleted before they were stored.",
    "Any: accepted fixes are lost.",
    _SHARD,
)

METRICS = (
    *(SHARD_OWNER, LEASE_AGE, HOSTS_SEEN, DRIVERS),
    *(LIVE_FIXES, LIVE_AGE, LIVE_TROUBLES, LIVE_UNWRITTEN),
    *(STORED_ROWS, STORE_AGE, STORE_SECONDS, STORE_BATCHES, STORE_TROUBLES, DATABASE_UP),
    *(REPEATS, DEAD_LETTERS, DEAD_LETTERS_WAITING, GROUPS_LOST, ENTRIES_LOST),
)
