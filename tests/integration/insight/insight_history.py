"""A history to follow: fixes into the table as the history stage stores them, and what is read."""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

import asyncpg
import orjson

from common.event import COLUMNS
from consumers.insight.columns import time_of, us_of
from consumers.insight.database import Database, connect
from consumers.insight.fold.results import CellHour, Gap, Quarter, Stop, Trip
from consumers.insight.fold.rules import Rules
from consumers.insight.follower import Follower
from consumers.insight.late import INSERT_LATE, MARKS_WAITING_MAX, late_marks
from consumers.insight.rebuild import adopt
from consumers.insight.shares import SHARES
from consumers.role import TROUBLE

ALL = set(range(SHARES))


def row(driver_id: str, when: datetime, latitude: float, longitude: float, **more: Any) -> Any:
    """A row of the table."""
    known = {"driver_id": driver_id, "recorded_at": when, "received_at": when}
    values = {**known, "latitude": latitude, "longitude": longitude, **more}
    return tuple(values.get(column) for column in COLUMNS)


def rows_of(driver_id: str, fixes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Fixes of the fold as rows of the table; NaN is NULL."""
    known = [(t, *(None if isnan(v) else v for v in rest)) for t, *rest in fixes]
    return sorted(
        row(driver_id, time_of(t), lat, lon, speed=speed, accuracy=accuracy)
        for t, lat, lon, speed, accuracy in known
    )


async def store(connection: Any, rows: list[tuple[Any, ...]], *, marked: bool = True) -> None:
    """Rows, with marks for all of them: the follower may be anywhere."""
    days = sorted({row[1].date() for row in rows})
    await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", days)
    async with connection.transaction():
        await connection.execute("CREATE TEMP TABLE s (LIKE locations) ON COMMIT DROP")
        await connection.copy_records_to_table("s", records=rows, columns=COLUMNS)
        await connection.execute("INSERT INTO locations SELECT * FROM s ON CONFLICT DO NOTHING")
        marks = late_marks(rows, datetime.now(UTC) + timedelta(days=9)) if marked else None
        if marks:
            await connection.execute(INSERT_LATE, orjson.dumps(marks), MARKS_WAITING_MAX)


def follower(connection: asyncpg.Connection, rules: Rules, cell_of: Any = None) -> Follower:
    """A follower over a connection."""
    return Follower(Database(connection), rules, cell_of)


async def adopt_at_once(connection: asyncpg.Connection, rules: Rules) -> None:
    """`adopt` where no row is under way, so that nothing needs to be waited for."""

    async def no_wait(_seconds: float) -> None:
        return

    await adopt(connection, rules, no_wait)


async def follow_to(url: str, rules: Rules, until: datetime, cell_of: Any = None) -> Follower:
    """One turn up to `until` by a process that then ends."""
    connection = await connect(url)
    try:
        await adopt_at_once(connection, rules)
        one = follower(connection, rules, cell_of)
        while await one.turn(ALL, until):
            pass
        return one
    finally:
        await connection.close()


async def killed(url: str, rules: Rules, until: datetime, after_s: float, cell_of: Any) -> None:
    """A turn whose process dies somewhere in it: the server loses the connection."""
    connection = await connect(url)
    await adopt_at_once(connection, rules)
    with contextlib.suppress(TimeoutError, *TROUBLE):
        async with asyncio.timeout(after_s):
            await follower(connection, rules, cell_of).turn(ALL, until)
    connection.terminate()


async def stored(connection: Any, driver_id: str) -> dict[Any, Any]:
    """What the tables say of a driver, as the fold says it."""

    async def read(table: str) -> list[Any]:
        return list(
            await connection.fetch(f"SELECT * FROM {table} WHERE driver_id = $1", driver_id)
        )

    us = us_of

    def span_us(seconds: float) -> int:
        return round(seconds * 1e6)

    rows: dict[Any, Any] = {}
    for r in await read("stops"):
        stop = Stop(us(r[1]), us(r[2]), *r[3:7])
        rows["stop", stop.started_us] = stop
    for r in await read("trips"):
        trip = Trip(*(us(r[1]), us(r[2]), *r[3:8], span_us(r[8]), *r[9:]))
        rows["trip", trip.started_us] = trip
    for r in await read("gaps"):
        rows["gap", us(r[1])] = Gap(us(r[1]), us(r[2]))
    for r in await read("driver_quarters"):
        first, last = (us(at) if at else -1 for at in (r[2], r[3]))
        top = -1.0 if r[9] is None else r[9]
        quarter = (us(r[1]), first, last, r[4], r[5], *map(span_us, r[6:9]), top)
        rows["quarter", us(r[1])] = Quarter(*quarter)
    for r in await read("driver_cell_hours"):
        rows["cell", us(r[0]), r[2]] = CellHour(*(us(r[0]), *r[2:6], span_us(r[6])))
    return rows
