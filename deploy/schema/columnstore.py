"""When TimescaleDB may turn a day into its columnstore: when no fix may arrive for it any more.

A late fix finds its place in a compressed chunk too, but has to unpack the driver's part of it.
"""

from datetime import timedelta
from math import ceil

import asyncpg

from common.errors import FleetlineError
from deploy.schema.migrate import connect

DAY_S = 86_400.0


def columnstore_age(event_age_max_s: float) -> timedelta:
    """How old the last moment of a chunk must be: a day for the stream's backlog on top. Pure."""
    return timedelta(days=ceil(event_age_max_s / DAY_S) + 1)


async def settle_columnstore(database_url: str, event_age_max_s: float) -> None:
    """Have the database's policy say so; without TimescaleDB nothing. Raises `FleetlineError`."""
    connection = await connect(database_url)
    try:
        await connection.execute(
            "SELECT fleetline_columnstore_after($1)", columnstore_age(event_age_max_s)
        )
    except asyncpg.PostgresError as e:
        raise FleetlineError(f"DATABASE_URL: the columnstore's policy: {e}") from e
    finally:
        connection.terminate()
