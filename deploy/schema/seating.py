"""Each database is told once which of how many it is, and that it belongs to the others.

From then on it refuses to be taken for another one (`common.databases.seat`). One that holds
nothing may be told anew.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from uuid import UUID, uuid4

import asyncpg

from common.databases.seat import Seat, read_seat, require_seat
from common.errors import ConfigError, FleetlineError
from deploy.schema.migrate import connect

_KNOWN = "SELECT number, databases, system FROM fleetline_database FOR UPDATE"
_TELL = "UPDATE fleetline_database SET number = $1, databases = $2, system = $3"
# What is a driver's, and, where it is to be another than home, what is home's alone.
_FILLED = """
SELECT EXISTS (SELECT FROM locations) OR EXISTS (SELECT FROM trips)
    OR $1 <> 0 AND (
        EXISTS (SELECT FROM orders) OR EXISTS (SELECT FROM geofences)
        OR EXISTS (SELECT FROM webhooks)
    )
"""


async def take_seats(databases: Mapping[Seat, str]) -> None:
    """Tell the databases, which are migrated, home first. Raises `ConfigError` where one is
    another's, and where two URLs are of one database.
    """
    system: UUID | None = None
    for seat, url in databases.items():
        async with _asking(seat, url) as connection, connection.transaction():
            system = await _take(connection, seat, system)
    if len(databases) > 1:
        # One that holds nothing yet takes one seat after the other: the last is what it says.
        for seat, url in databases.items():
            async with _asking(seat, url) as connection:
                found = await read_seat(connection)
            if found is not None and found != seat:
                raise ConfigError(f"DATABASE_URLS: {seat} is {found} under another name")


@contextlib.asynccontextmanager
async def _asking(seat: Seat, url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await connect(url)
    try:
        yield connection
    except asyncpg.PostgresError as e:
        raise FleetlineError(f"DATABASE_URLS: {seat}: {e}") from e
    finally:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
            await connection.close(timeout=1.0)


async def _take(
    connection: "asyncpg.Connection[asyncpg.Record]", seat: Seat, system: UUID | None
) -> UUID:
    number, databases, known = await connection.fetchrow(_KNOWN)  # type: ignore[misc]
    found = None if number is None else Seat(number, databases)
    if (found != seat or known != system) and await connection.fetchval(_FILLED, seat.number):
        require_seat(seat, found)
        if None not in (known, system) and known != system:
            raise ConfigError(f"DATABASE_URLS: {seat} belongs to another system than the first")
    # Home says which system it is, and the others are of it.
    wanted = system or known or uuid4()
    if (found, known) != (seat, wanted):
        await connection.execute(_TELL, *seat, wanted)
    return wanted


async def settle_chunk(url: str, hours: int) -> None:
    """Have partitions, or chunks, of days to come be so long. Raises `FleetlineError`."""
    connection = await connect(url)
    try:
        await connection.execute("SELECT fleetline_history_chunk($1)", hours)
    except asyncpg.PostgresError as e:
        raise FleetlineError(f"HISTORY_CHUNK: {e}") from e
    finally:
        connection.terminate()
