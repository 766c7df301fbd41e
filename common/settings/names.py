"""Names that look like a setting of ours and are none. Pure.

`SHARD=8` would otherwise start a system with four shards, and nobody would know why. A name is
ours by its looks when it is a slip of the pen away from a setting; all other names in the
environment belong to other programs.
"""

from collections.abc import Iterable
from difflib import get_close_matches

# Settings of earlier releases. What they bounded is a promise of the API or a constant with its
# reason now; one that is still set would be believed to hold.
RETIRED = frozenset(
    name.upper()
    for name in (
        *("auth_credentials_max", "batch_body_bytes_max", "batch_events_max", "batch_fixes_max"),
        *("body_bytes_max", "handshake_timeout_s", "handshakes_per_address_max"),
        *("inbound_bytes_max", "inflight_events_max", "newest_drivers_max"),
        *("ingest_database_connections_max", "order_ended_ttl_s", "outbox_bytes_max"),
        *("ping_interval_s", "pong_timeout_s", "probe_interval_s", "read_block_ms"),
        *("read_pause_ms", "redis_inflight_bytes_max", "redis_reply_timeout_s", "stall_max_s"),
        "unsubscribe_linger_s",
    )
)
# Similarity (difflib's ratio) from which a name is a slip: SHARD and SHARDS have 0.91, a missing
# or swapped letter in a longer name more. REDIS_PORT_6379_TCP, which Kubernetes sets, has 0.69.
SLIP_RATIO = 0.88


def misspelt(names: Iterable[str], known: Iterable[str]) -> tuple[str, str] | None:
    """The first of `names`, in order of the alphabet, that is a slip, and the setting it means.

    Case does not matter, as it does not to the settings themselves.
    """
    settings = {name.upper() for name in known}
    for name in sorted({name.upper() for name in names} - settings):
        near = get_close_matches(name, settings, n=1, cutoff=SLIP_RATIO)
        if near:
            return name, near[0]
    return None
