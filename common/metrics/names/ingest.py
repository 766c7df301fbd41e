"""What ingest says: fixes in, and how the streams stand. Its workers' numbers are added up."""

from common.metrics import buckets
from common.metrics.metric import Merge, counter, gauge, histogram

_SHARD = ("shard",)

FIXES = counter(
    "fleetline_fixes_total",
    "Fixes by what became of them: `accepted` (in the stream, on disk), `invalid` (400, 422), "
    "`too_fast` (429), `overloaded` (503).",
    "Any `overloaded`: drivers have to send again. A rise of `invalid`: a release of an app.",
    ("result",),
)
APP_ITEMS = counter(
    "fleetline_app_items_total",
    "Items of phone apps that were not stored as they were sent, by app and reason.",
    "One reason rises for one app: a release of it, or phones with wrong clocks.",
    ("app", "reason"),
)
REQUESTS = counter(
    "fleetline_requests_total",
    "Answers by route, method and status. A route is a template, never an address; `unknown` is no "
    "path of ours, or a request refused before its path was looked at.",
    "Any 500 is a bug. 503: see `fleetline_fixes_total`. 401 and 403 in numbers: a lost secret.",
    ("route", "method", "status"),
)
REQUEST_SECONDS = histogram(
    "fleetline_request_seconds",
    "From a request's head to its answer, by route.",
    "The 99th percentile of a POST above 50 ms for minutes.",
    ("route",),
    bounds=buckets.INGEST_S,
)
PACKS = counter(
    "fleetline_packs_total",
    "Entries written to the streams. Fixes by packs is how many share one.",
)
WRITE_SECONDS = histogram(
    "fleetline_write_seconds",
    "One write to Redis, from its leaving until it is on disk.",
    "The 99th percentile above 50 ms: the disk of Redis is slow, or Redis is busy.",
    bounds=buckets.INGEST_S,
)
REDIS_REFUSALS = counter(
    "fleetline_redis_refusals_total",
    "Packs that Redis refused: its memory is full, or it may not write.",
    "Any.",
)
UNREPLICATED = gauge(
    "fleetline_unreplicated_shards",
    "Shards whose fixes have only the disk of their primary, since no replica follows it "
    "(REPLICATION).",
    "Above 0 for longer than a failover takes (a minute): bring the replica back.",
    merge=Merge.MOST,
)
MISSING_SHARDS = gauge(
    "fleetline_missing_shards",
    "Shards whose server does not answer: their fixes are refused, those of others are not.",
    "Above 0 for longer than a failover takes.",
    merge=Merge.MOST,
)
REDIS_UP = gauge(
    "fleetline_redis_up",
    "1 while the connection to Redis stands, in every worker.",
    "0 for more than 10 s: no fix is accepted.",
    merge=Merge.LEAST,
)
REDIS_MEMORY = gauge(
    "fleetline_redis_memory_bytes",
    "Memory that Redis uses; in a cluster, the primary that is fullest.",
    merge=Merge.MOST,
)
REDIS_MEMORY_LIMIT = gauge(
    "fleetline_redis_memory_limit_bytes",
    "Memory that it may use: its `maxmemory`, or half of its machine's where none is set.",
    "`fleetline_redis_memory_bytes` above 85 % of it.",
    merge=Merge.MOST,
)
LAG_FIXES = gauge(
    "fleetline_lag_fixes",
    "Fixes of a shard that wait to be stored, as ingest sees them: also when no worker runs.",
    "It grows for minutes.",
    _SHARD,
    Merge.MOST,
)
LAG_SECONDS = gauge(
    "fleetline_lag_seconds",
    "Age of the oldest fix that waits in a shard, to about a second; 0 when none does.",
    "Above 60: the history is late. Live positions do not wait for it.",
    _SHARD,
    Merge.MOST,
)
ROOM_FIXES = gauge(
    "fleetline_room_fixes",
    "Fixes that a shard still takes before ingest answers 503: up to BACKLOG_MAX, and as far as "
    "its share of the memory of Redis goes.",
    "",
    _SHARD,
    Merge.LEAST,
)
ROOM_SECONDS = gauge(
    "fleetline_room_seconds",
    "How long that room lasts at the pace of the last minute; +Inf while nothing grows.",
    "Below 1800: within half an hour fixes are refused.",
    _SHARD,
    Merge.LEAST,
)
OUTAGE_SECONDS = gauge(
    "fleetline_outage_seconds",
    "How long that room would last if nothing were stored from now on, at the pace at which fixes "
    "came in the last minute; +Inf while none come.",
    "Below 1800: an outage of the database of half an hour costs fixes.",
    _SHARD,
    Merge.LEAST,
)
WAITING_FIX_BYTES = gauge(
    "fleetline_waiting_fix_bytes",
    "Memory of Redis that a waiting fix takes: as it was measured when fixes last came to wait, "
    "300 until then.",
    "",
    _SHARD,
    Merge.MOST,
)

METRICS = (
    *(FIXES, APP_ITEMS, REQUESTS, REQUEST_SECONDS, PACKS, WRITE_SECONDS, REDIS_REFUSALS),
    *(UNREPLICATED, MISSING_SHARDS, REDIS_UP, REDIS_MEMORY, REDIS_MEMORY_LIMIT),
    *(LAG_FIXES, LAG_SECONDS, ROOM_FIXES, ROOM_SECONDS, OUTAGE_SECONDS, WAITING_FIX_BYTES),
)
