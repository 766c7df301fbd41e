"""Makes several databases of fewer: copies, each of which keeps its own drivers.

The one of number n must be a copy of number n modulo how many there were. All are looked at before
a row is removed. While one is under way no role takes it for anything; cut off, it is run again.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from common.databases.connecting import NEEDS_SESSION, is_pooled
from common.databases.placing import database_of
from common.databases.seat import Seat, seats
from common.errors import ConfigError, FleetlineError
from deploy.schema.migrate import connect
from deploy.tools.databases.copies import edges, require_copies

# Any number that nothing else in the database uses: "split" as bytes.
ADVISORY_KEY = 0x73706C6974
# Drivers that are listed, and removed, at a time.
NAMES_MAX = 500
# Tables with a driver's rows, beside its fixes.
OF_DRIVERS = (
    *("stops", "trips", "gaps", "driver_quarters", "driver_cell_hours", "insight_state"),
    *("insight_repairs", "trips_told", "pace_trips"),
)
# What is in home alone.
OF_HOME = (
    *("orders", "order_drivers", "geofences", "geofence_changes", "fence_visits", "events"),
    *("places_streams", "places_changes", "webhooks", "webhook_deliveries", "arrival_log"),
    *("pace_fits", "road_speeds", "road_lessons"),
)
# All but ingest must be stopped. What ingest has open reads the old history until it is started
# anew.
_OTHERS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND application_name LIKE 'fleetline-%'
  AND application_name NOT IN ('fleetline-ingest', 'fleetline-orders', 'fleetline-migrate')
ORDER BY 1
"""
_SEAT = "SELECT number, databases FROM fleetline_database"
_SYSTEM = "SELECT system FROM fleetline_database"
# The next drivers of a table, a probe of its index for each.
_NAMES = """
WITH RECURSIVE names (driver_id) AS (
    (SELECT driver_id FROM {table} WHERE driver_id > $1 AND {span} ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (
        SELECT t.driver_id FROM {table} t
        WHERE t.driver_id > n.driver_id AND {span} ORDER BY 1 LIMIT 1
    )
    FROM names n WHERE n.driver_id IS NOT NULL
)
SELECT driver_id FROM names WHERE driver_id IS NOT NULL LIMIT $2
"""

Connection = asyncpg.Connection
Say = Callable[[str], None]


async def split_all(urls: Sequence[str], say: Say, *, remove: bool) -> None:
    """Split all; only look where nothing is to be removed. Raises `FleetlineError`."""
    if len(urls) == 1:
        raise ConfigError("DATABASE_URLS: names all databases that there are to be, two at least")
    async with _all_of(urls) as connections:
        every = list(zip(connections, seats(len(urls)), strict=True))
        left = [pair for pair in every if not await _is_done(*pair)]
        if (originals := await _originals(connections)) is not None:
            await require_copies(connections, originals)
        for connection, seat in left:
            if not remove:
                say(f"{seat}: would keep its own drivers alone; --yes removes the others")
                continue
            await _split(connection, seat, say)
        if not left:
            say(f"{len(urls)} databases: each has its own drivers alone")


@asynccontextmanager
async def _all_of(urls: Sequence[str]) -> AsyncIterator[list[Connection]]:
    """A connection to each, with a lock on it: no two URLs are of one database."""
    async with AsyncExitStack() as opened:
        connections = []
        for number, url in enumerate(urls, 1):
            try:
                connection = await connect(url)
            except FleetlineError as e:
                raise type(e)(f"database {number}: {e}") from e
            opened.callback(connection.terminate)
            if is_pooled(connection):
                # The lock would be of a session that is not ours, and stay.
                raise ConfigError(NEEDS_SESSION.format(who="databases split"))
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_KEY):
                raise ConfigError(
                    f"DATABASE_URLS: number {number} is one of those before it, "
                    "or it is being split already"
                )
            await _require_alone(connection, number)
            connections.append(connection)
        systems = {await connection.fetchval(_SYSTEM) for connection in connections}
        if len(systems) > 1:
            raise ConfigError("DATABASE_URLS: they are no copies of databases of one system")
        yield connections


async def _require_alone(connection: Connection, number: int) -> None:
    if others := [row[0] for row in await connection.fetch(_OTHERS)]:
        raise FleetlineError(f"database {number}: stop {', '.join(others)} first")


async def _originals(connections: Sequence[Connection]) -> int | None:
    """How many databases all are copies of; None once a split of them has begun."""
    counts = {await connection.fetchval(_SEAT, column=1) for connection in connections}
    return counts.pop() if len(counts) == 1 and len(connections) not in counts else None


async def _is_done(connection: Connection, seat: Seat) -> bool:
    """Whether it has its seat. Raises `ConfigError` where it is no copy of the right one."""
    number, databases = await connection.fetchrow(_SEAT)  # type: ignore[misc]
    if (number, databases) == (_under_way(seat), seat.databases):
        return False
    if number is None or seat.databases % databases or seat.number % databases != number:
        found = "an empty one" if number is None else Seat(number, databases)
        raise ConfigError(f"DATABASE_URLS: {found} is no copy that {seat} can be made of")
    return bool(databases == seat.databases)


def _under_way(seat: Seat) -> int:
    """The number of one that is being split, which no role asks for."""
    return -1 - seat.number


async def _split(connection: Connection, seat: Seat, say: Say) -> None:
    tell = "UPDATE fleetline_database SET number = $1, databases = $2"
    before = await connection.fetchval("SELECT number FROM fleetline_database")
    async with connection.transaction():
        await connection.execute(tell, _under_way(seat), seat.databases)
        if not seat.is_home:
            await connection.execute(f"TRUNCATE {', '.join(not_here(before))}")
            await connection.execute("UPDATE events_published SET seq = 0")
    # Who came since the first look still takes it for what it was; who comes now does not.
    await _require_alone(connection, seat.number + 1)
    for table in OF_DRIVERS:
        removed = await _remove(connection, seat, table, "true", ())
        say(f"{seat}: {table}, {removed} drivers removed")
    for day in [row[0] for row in await connection.fetch("SELECT fleetline_history_days()")]:
        span = "recorded_at >= $3 AND recorded_at < $4"
        removed = await _remove(connection, seat, "locations", span, edges(day))
        say(f"{seat}: fixes of {day}, {removed} drivers removed")
    await connection.execute(tell, *seat)
    say(f"{seat}: done; let it VACUUM (ANALYZE)")


def not_here(before: int) -> list[str]:
    """Tables that are emptied in another than home, which was number `before`. Pure.

    The events of one that was not home are its own: they have not been brought home yet
    (`consumers.insight.home_events`). One that is being split has no others any more.
    """
    return [table for table in OF_HOME if table != "events" or before == 0]


async def _remove(
    connection: Connection, seat: Seat, table: str, span: str, edges: Sequence[Any]
) -> int:
    """Remove from a table the drivers of other databases; how many they were."""
    after, removed = "", 0
    while names := await _names(connection, table, span, after, edges):
        after = names[-1]
        others = others_of(names, seat)
        if others:
            where = span.replace("$3", "$2").replace("$4", "$3")
            await connection.execute(
                f"DELETE FROM {table} WHERE driver_id = ANY($1) AND {where}",  # noqa: S608
                others,
                *edges,
            )
            removed += len(others)
    return removed


async def _names(
    connection: Connection, table: str, span: str, after: str, edges: Sequence[Any]
) -> list[str]:
    sql = _NAMES.format(table=table, span=span)
    return [row[0] for row in await connection.fetch(sql, after, NAMES_MAX, *edges)]


def others_of(names: Iterable[str], seat: Seat) -> list[str]:
    """Those of these drivers that are another database's. Pure."""
    return [name for name in names if database_of(name, seat.databases) != seat.number]
