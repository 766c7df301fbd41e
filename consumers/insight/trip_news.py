"""Trips that have ended make something happen: `trip.ended`, once each.

Trips are a function of the history, and a late fix may move their ends. So what was told last is
kept for each driver, and a trip is news when it ended after that one and is not the same one with
other ends. What ended long ago is no news either: the follower may be folding last year.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from common.event import EPOCH, MICROSECOND
from common.events.happening import Happening, HappeningType
from common.events.record import record
from consumers.insight.columns import time_of
from consumers.insight.fold.results import Results, Trip
from consumers.insight.shares import share_of

# A trip that ended before that is not told any more.
NEWS_AGE_MAX = timedelta(days=1)
# Trips that ended in silence, told at once.
SILENT_MAX = 1_000

_TOLD = "SELECT driver_id, started_at, ended_at FROM trips_told WHERE driver_id = ANY($1)"
_TELL = """
INSERT INTO trips_told (driver_id, started_at, ended_at)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
ON CONFLICT (driver_id) DO UPDATE SET
    started_at = excluded.started_at, ended_at = excluded.ended_at
"""
_SILENT = """
SELECT driver_id, t.started_at, t.ended_at, distance_m, moving_s
FROM trips t LEFT JOIN trips_told w USING (driver_id)
WHERE open AND t.ended_at < $1 AND t.ended_at > $2
  AND (w.ended_at IS NULL OR t.ended_at > w.ended_at)
ORDER BY t.ended_at LIMIT $3
"""


class EndedTrip(NamedTuple):
    """A trip that no fix will go on with, as far as is known."""

    driver_id: str
    started_at: datetime
    ended_at: datetime
    distance_m: float
    moving_s: float


class ToldTrip(NamedTuple):
    """The last trip of a driver that was told."""

    started_at: datetime
    ended_at: datetime


def ended_trips(results: Iterable[tuple[str, Results]]) -> list[EndedTrip]:
    """Those of drivers' results that have ended, each driver's in order."""
    return [_ended(name, trip) for name, found in results for trip in found.trips if not trip.open]


def news_of(
    trips: Iterable[EndedTrip], told: dict[str, ToldTrip], now: datetime
) -> list[EndedTrip]:
    """The trips that are news; `told` is brought up to date."""
    news = []
    for trip in trips:
        last = told.get(trip.driver_id)
        if trip.ended_at > now - NEWS_AGE_MAX and (last is None or _is_another(trip, last)):
            told[trip.driver_id] = ToldTrip(trip.started_at, trip.ended_at)
            news.append(trip)
    return news


async def tell(connection: asyncpg.Connection, trips: Sequence[EndedTrip]) -> None:
    """Record what is news, as the last thing in the transaction that stores the trips."""
    now = datetime.now(UTC)
    recent = [trip for trip in trips if trip.ended_at > now - NEWS_AGE_MAX]
    if not recent:
        return
    rows = await connection.fetch(_TOLD, list({trip.driver_id for trip in recent}))
    told = {row[0]: ToldTrip(row[1], row[2]) for row in rows}
    if news := news_of(recent, told, now):
        # The follower's own commits may be lost with the server; an event is out of the house then.
        await connection.execute("SET LOCAL synchronous_commit = on")
        names = {trip.driver_id: told[trip.driver_id] for trip in news}
        told_now = [(name, *last) for name, last in sorted(names.items())]
        await connection.execute(_TELL, *zip(*told_now, strict=True))
        await record(connection, [_happening(trip, now) for trip in news])


async def tell_silent(
    connection: asyncpg.Connection, shares: Collection[int], gap_s: float
) -> None:
    """Tell the trips that ended because their driver has been silent for longer than GAP_S."""
    now = datetime.now(UTC)
    silent_since = now - timedelta(seconds=gap_s)
    async with connection.transaction():
        rows = await connection.fetch(_SILENT, silent_since, now - NEWS_AGE_MAX, SILENT_MAX)
        await tell(connection, [EndedTrip(*r) for r in rows if share_of(r[0]) in shares])


def _ended(driver_id: str, trip: Trip) -> EndedTrip:
    return EndedTrip(
        driver_id,
        time_of(trip.started_us),
        time_of(trip.ended_us),
        trip.distance_m,
        trip.moving_us / 1e6,
    )


def _is_another(trip: EndedTrip, told: ToldTrip) -> bool:
    """Whether it ended later, and most of the other one lies before it."""
    middle = told.started_at + (told.ended_at - told.started_at) / 2
    return trip.ended_at > told.ended_at and trip.started_at >= middle


def _happening(trip: EndedTrip, now: datetime) -> Happening:
    """Named as the API names a trip: by its driver and its beginning."""
    started_us = (trip.started_at - EPOCH) // MICROSECOND
    return Happening(
        type=HappeningType.TRIP_ENDED,
        driver_id=trip.driver_id,
        at=now,
        recorded_at=trip.ended_at,
        data={
            "trip_id": f"{trip.driver_id}-{started_us}",
            "start_time": trip.started_at,
            "end_time": trip.ended_at,
            "duration_s": (trip.ended_at - trip.started_at).total_seconds(),
            "distance_m": round(trip.distance_m, 3),
            "moving_s": trip.moving_s,
        },
        key=f"trip {started_us}",
    )
