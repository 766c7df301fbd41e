"""What is known of drivers, from the shards of the layout before to those that replace them."""

from collections.abc import Collection
from datetime import timedelta

import asyncpg

from common.shards import Shards
from consumers.places.rules.engine import ShardDrivers
from consumers.places.rules.presence import Presence
from consumers.places.snapshot import encode_state, load_state
from consumers.stream.groups import START

_BEGUN = "SELECT stream FROM places_streams UNION SELECT stream FROM places_changes"
_STATES = """
SELECT state FROM (
    SELECT 0::bigint AS id, state FROM places_streams WHERE stream = $1
    UNION ALL SELECT id, changes FROM places_changes WHERE stream = $1
) AS stored ORDER BY id
"""
_FIRST = """
INSERT INTO places_streams (stream, through, entries, state) VALUES ($1, $2, 0, $3)
ON CONFLICT (stream) DO NOTHING
"""


async def inherit(
    connection: asyncpg.Connection,
    shards: Shards,
    held: Collection[int],
    known: Shards,
    ttl: timedelta,
) -> None:
    """Begin those of `held` that were never followed with what the shards `known` know.

    Those are followed no more. Raises what asyncpg raises.
    """
    begun = {row[0] for row in await connection.fetch(_BEGUN)}
    new = {n: ShardDrivers(Presence(ttl)) for n in held if shards[n].keys.stream not in begun}
    if not new:
        return
    for shard in known:
        rows = await connection.fetch(_STATES, shard.keys.stream)
        state = load_state((row["state"] for row in rows), ttl)
        for name, seen_at in state.presence.newest.items():
            if (into := new.get(shards.of(name).index)) is not None:
                into.presence.newest[name] = seen_at
        for name, ends in state.ends.items():
            if (into := new.get(shards.of(name).index)) is not None:
                into.ends[name] = ends
    for number, state in new.items():
        stream = shards[number].keys.stream
        await connection.execute(_FIRST, stream, START.decode(), encode_state(state))
