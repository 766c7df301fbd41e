"""The database around a measurement: emptied before, counted after."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

T = TypeVar("T")
TIMEOUT_S = 300.0

# The history, and what is computed from it and from the streams.
TABLES = (
    "locations, stops, trips, gaps, driver_quarters, driver_cell_hours, insight_state,"
    " insight_late, insight_repairs, insight_shares, trips_told, places_streams, places_changes,"
    " fence_visits, events, webhooks, webhook_deliveries"
)

Connection = asyncpg.Connection
Work = Callable[[Connection], Awaitable[T]]


def call(url: str, work: "Work[T]") -> T:
    """Run `work` on a connection of its own."""

    async def run() -> T:
        connection = await asyncpg.connect(url, timeout=10, command_timeout=TIMEOUT_S)
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=5)

    return asyncio.run(run())


def clear(url: str) -> None:
    """Empty the history, and write out what waits, so that no checkpoint falls into a scenario."""

    async def work(connection: Connection) -> None:
        await connection.execute(f"TRUNCATE {TABLES}")
        # One by one: their sums are kept by triggers.
        await connection.execute("DELETE FROM geofences")
        # Rows that were stored with INSIGHT=off are gone too: late ones are marked again.
        await connection.execute("UPDATE insight_settings SET unmarked = false")

    async def checkpoint(connection: Connection) -> None:
        await connection.execute("CHECKPOINT")

    call(url, work)
    # The embedded server trusts its superuser; a foreign one may not know him.
    try:
        call(url.replace("fleetline@", "postgres@", 1), checkpoint)
    except (OSError, asyncpg.PostgresError):
        return


def rows(url: str) -> int:
    """Rows in the history."""

    async def work(connection: Connection) -> int:
        return int(await connection.fetchval("SELECT count(*) FROM locations"))

    return call(url, work)
