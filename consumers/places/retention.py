"""Events are kept for EVENTS_RETENTION_DAYS."""

import asyncpg

# How often it is looked for old events. Each time is short: an hour's worth of them.
EVERY_S = 3600.0
# Events dropped at once.
PAGE = 5_000

_DROP = """
DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events
    WHERE at < now() - make_interval(days => $1) AND seq <= (SELECT seq FROM events_published)
    ORDER BY at LIMIT $2
)
"""


async def drop_old(connection: asyncpg.Connection, days: int) -> int:
    """Drop the oldest events beyond that age, up to a page; how many. Raises as asyncpg does."""
    status = await connection.execute(_DROP, days, PAGE)
    return int(status.rsplit(" ", 1)[1])
