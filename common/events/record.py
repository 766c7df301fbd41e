"""Writes happenings to the table `events`, in their finder's own transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import orjson

from common.events.happening import Happening

# Any number that nothing else in the database uses: "events" as bytes.
ADVISORY_KEY = 0x6576656E7473
# The columns that make a happening, for whoever reads them back; see `happening_of`.
COLUMNS = "event_id, type, driver_id, order_id, geofence_id, at, recorded_at, data"

_INSERT = """
INSERT INTO events (event_id, type, driver_id, order_id, geofence_id, at, recorded_at, data)
SELECT event_id, type, driver_id, order_id, geofence_id, at, recorded_at, data::jsonb
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
    $7::timestamptz[], $8::text[]
) WITH ORDINALITY AS e (
    event_id, type, driver_id, order_id, geofence_id, at, recorded_at, data, place
)
ORDER BY place
ON CONFLICT (event_id) DO NOTHING
RETURNING seq
"""


async def lock(connection: asyncpg.Connection) -> None:
    """Be the only transaction that writes events, until it ends.

    So `seq` is the order of the commits, and who reads what lies after a `seq` misses nothing.
    `record` does it by itself. A transaction that calls `record` between writes of its own takes
    the lock first, so that no two wait for each other.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_KEY)


async def record(connection: asyncpg.Connection, events: Sequence[Happening]) -> int:
    """Store happenings in the caller's transaction, in their order; how many were new.

    What is stored already is passed over. Call it last: other writers of events wait from here
    until the transaction ends. Raises what asyncpg raises.
    """
    if not events:
        return 0
    await lock(connection)
    rows = await connection.fetch(_INSERT, *_columns(events))
    return len(rows)


def _columns(events: Iterable[Happening]) -> list[Sequence[object]]:
    rows = [
        (
            e.event_id,
            str(e.type),
            e.driver_id,
            e.order_id,
            e.geofence_id,
            e.at,
            e.recorded_at,
            orjson.dumps(e.data, option=orjson.OPT_UTC_Z).decode(),
        )
        for e in events
    ]
    return list(zip(*rows, strict=True))


def happening_of(row: Any) -> Happening:
    """A row of COLUMNS, as asyncpg gives it: what was recorded."""
    return Happening(
        event_id=row["event_id"],
        type=row["type"],
        driver_id=row["driver_id"],
        order_id=row["order_id"],
        geofence_id=row["geofence_id"],
        at=row["at"],
        recorded_at=row["recorded_at"],
        data=orjson.loads(row["data"]),
    )
