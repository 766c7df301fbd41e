"""What is known of drivers, from the shards of layouts before to those that replace them.

It is found by what the database has, not by what Redis says: an engine that was away during the
whole of a change finds it all the same.
"""

import re
from collections.abc import Collection, Iterable
from datetime import timedelta

import asyncpg

from common.keys import FIRST_EPOCH
from common.shards import Shards
from consumers.places.rules.engine import ShardDrivers
from consumers.places.rules.presence import Presence
from consumers.places.snapshot import encode_state, load_state
from consumers.stream.groups import START

# The tag of a shard, with the epoch of its layout; without one in formats before epochs.
_TAG = re.compile(r"\{(?:([0-9]{1,9})\.)?[0-9]{1,9}(?:-[0-9a-z]+)?\}")

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


def epoch_in(stream: str, stem: str) -> int | None:
    """The epoch of a stream of ours; 0 for a name of before epochs, None for others'."""
    name, _, tag = stream.rpartition(":")
    match = _TAG.fullmatch(tag) if name == stem else None
    return int(match[1] or 0) if match is not None else None


def earlier_streams(streams: Iterable[str], shards: Shards) -> list[str]:
    """Those of layouts before that of `shards`, the earliest first. Pure."""
    found = [(epoch_in(stream, shards.stream_name), stream) for stream in streams]
    return [stream for epoch, stream in sorted((e, s) for e, s in found if e is not None)
            if epoch < shards.epoch]  # fmt: skip


async def inherit(
    connection: asyncpg.Connection, shards: Shards, held: Collection[int], ttl: timedelta
) -> None:
    """Begin those of `held` that were never followed with what shards before them know.

    Those are followed no more. Raises what asyncpg raises.
    """
    if shards.epoch == FIRST_EPOCH:
        return
    begun = {row[0] for row in await connection.fetch(_BEGUN)}
    new = {n: ShardDrivers(Presence(ttl)) for n in held if shards[n].keys.stream not in begun}
    if not new:
        return
    for stream in earlier_streams(begun, shards):
        rows = await connection.fetch(_STATES, stream)
        state = load_state((row["state"] for row in rows), ttl)
        for name, seen_at in state.presence.newest.items():
            if (into := new.get(shards.of(name).index)) is not None:
                known = into.presence.newest.get(name, seen_at)
                into.presence.newest[name] = max(known, seen_at)
        for name, ends in state.ends.items():
            if (into := new.get(shards.of(name).index)) is not None:
                into.ends[name] = ends
    for number, state in new.items():
        stream = shards[number].keys.stream
        await connection.execute(_FIRST, stream, START.decode(), encode_state(state))


async def forget_earlier(connection: asyncpg.Connection, shards: Shards) -> None:
    """Drop what shards before these knew, once each of these has begun. Raises as `inherit`."""
    begun = {row[0] for row in await connection.fetch(_BEGUN)}
    if shards.epoch > FIRST_EPOCH and all(shard.keys.stream in begun for shard in shards):
        for table in ("places_streams", "places_changes"):
            await connection.execute(
                f"DELETE FROM {table} WHERE stream = ANY($1::text[])",  # noqa: S608 - our names
                earlier_streams(begun, shards),
            )
