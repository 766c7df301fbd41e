"""Learns how long ways take from the trips that have ended, an hour's worth at a time.

Samples of trips are kept, so that each trip is read once; what they say together is computed anew
from all that are young enough. All of it is a function of the history and can be dropped.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from math import isnan, nan
from typing import Any, TypeVar

import asyncpg
import msgspec

from common.errors import Overloaded
from common.log import Repeated, get
from common.roads.pace import PaceFit
from common.roads.pace_fit import LearnedTrip, PaceSample, TimedPlace, detour_of, learn, samples_of
from common.roads.pace_store import EVERY
from consumers.arrivals.database import ArrivalDatabase
from consumers.arrivals.past_errors import EDGES_S, ErrorRow, PastErrors

# A fleet, its streets and its seasons change.
YOUNG = timedelta(days=28)
# Trips that are learned from, the newest: half a second of CPU for all.
TRIPS_MAX = 5_000
# Trips that are read in one go; more are read the next time.
NEW_AT_ONCE = 100
# Orders whose predictions say what errors are like.
ORDERS_MAX = 2_000
SAMPLE_FIELDS = 3
T = TypeVar("T")

_log = get("arrivals")


def _sql(name: str) -> str:
    return files(__package__).joinpath("sql", f"{name}.sql").read_text()


_NEW, _PLACES, _ERRORS = _sql("new_trips"), _sql("trip_places"), _sql("errors")
_VEHICLES = _sql("trip_vehicles")
_TRIP_KEY = ("driver_id", "started_at", "ended_at")
_KEEP = """
INSERT INTO pace_trips (driver_id, started_at, vehicle, detour, samples)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (driver_id, started_at) DO NOTHING
"""
_KNOWN = "SELECT vehicle, detour, samples FROM pace_trips ORDER BY started_at DESC LIMIT $1"
_FORGET = "DELETE FROM pace_trips WHERE started_at < $1"
_WRITE = """
INSERT INTO pace_fits (vehicle, fit, learned_at) VALUES ($1, $2, now())
ON CONFLICT (vehicle) DO UPDATE SET fit = excluded.fit, learned_at = excluded.learned_at
"""


class PaceLearner:
    """Methods raise `Overloaded` when home is away. Another that is away is passed over.

    `others` have the trips of the drivers that home has not, where there are several databases.
    Each keeps what was read of its own trips; orders, and what is concluded, are home's.
    """

    def __init__(self, database: ArrivalDatabase, others: Sequence[ArrivalDatabase] = ()) -> None:
        self._database = database
        self._others = others
        self._away = [Repeated(_log, "pace.database_away") for _ in others]

    async def read_trips(self) -> int:
        """Read some trips that are new; how many, of the database that had most. Fewer than
        `NEW_AT_ONCE`: those were all.
        """
        since = datetime.now(UTC) - YOUNG
        named = await self._named(await self._database.read(_NEW, since, NEW_AT_ONCE))
        read = [await _keep_trips(self._database, named)]
        for place, other in enumerate(self._others):
            trips = await self._unless_away(place, other.read(_NEW, since, NEW_AT_ONCE))
            named = await self._named(trips or ())
            # Those that were not kept are there the next time: they do not count as read.
            read.append(await self._unless_away(place, _keep_trips(other, named)) or 0)
        return max(read)

    async def _named(self, trips: Sequence[Any]) -> Sequence[Any]:
        """The trips with the vehicles of the orders, which are home's, that their drivers had."""
        if not trips:
            return ()
        keys = [[trip[name] for trip in trips] for name in _TRIP_KEY]
        vehicles = await self._database.read(_VEHICLES, *keys)
        return [
            {**trip, "vehicle": vehicle[0]} for trip, vehicle in zip(trips, vehicles, strict=True)
        ]

    async def learn(self) -> None:
        """Learn from all trips that were read and are young enough."""
        since = datetime.now(UTC) - YOUNG
        most = TRIPS_MAX // (1 + len(self._others))
        known: list[Any] = [*await _young_trips(self._database, since, most)]
        for place, other in enumerate(self._others):
            known += await self._unless_away(place, _young_trips(other, since, most)) or ()
        # Half a second for thousands of trips: arrivals go on meanwhile.
        fits = await asyncio.to_thread(fits_of, known)
        for vehicle, fit in fits.items():
            text = msgspec.json.encode(fit).decode()
            await self._database.run(partial(_write_fit, vehicle=vehicle, text=text))
        _log.info("pace.learned", trips=len(known))

    async def _unless_away(self, place: int, answer: Awaitable[T]) -> T | None:
        """What one of the others answers; None, and a line, while it is away."""
        try:
            found = await answer
        except Overloaded as e:
            # Home is number 1.
            self._away[place].failed(database=place + 2, error=str(e))
            return None
        self._away[place].healed(database=place + 2)
        return found

    async def errors(self) -> PastErrors:
        """What came of the last days' predictions."""
        rows = await self._database.read(_ERRORS, list(EDGES_S), ORDERS_MAX)
        return PastErrors(
            ErrorRow(row["method"], row["edge"], row["orders"], *row["quantiles"]) for row in rows
        )


def fits_of(rows: Sequence[Any]) -> dict[str, PaceFit]:
    """What rows of `pace_trips` say, of all vehicles and of each kind."""
    trips: dict[str, list[LearnedTrip]] = {EVERY: []}
    for row in rows:
        trip = _trip(row)
        trips[EVERY].append(trip)
        if row["vehicle"] is not None:
            trips.setdefault(row["vehicle"], []).append(trip)
    return {vehicle: fit for vehicle, some in trips.items() if (fit := learn(some)) is not None}


async def _young_trips(database: ArrivalDatabase, since: datetime, most: int) -> Sequence[Any]:
    await database.run(lambda connection: connection.execute(_FORGET, since))
    rows: Sequence[Any] = await database.read(_KNOWN, most)
    return rows


async def _keep_trips(database: ArrivalDatabase, rows: Sequence[Any]) -> int:
    for row in rows:
        await database.run(partial(_keep_trip, row=row))
    return len(rows)


async def _keep_trip(connection: asyncpg.Connection, row: Any) -> None:
    fixes = await connection.fetch(_PLACES, row["driver_id"], row["started_at"], row["ended_at"])
    places: list[TimedPlace] = [(fix[0], fix[1], fix[2]) for fix in fixes]
    # A trip whose fixes are gone is kept too, without samples: it is not asked for again.
    samples = samples_of(places) if places else []
    detour = detour_of(places, row["distance_m"]) if places else None
    flat = [value for s in samples for value in _stored(s)]
    key = (row["driver_id"], row["started_at"])
    await connection.execute(_KEEP, *key, row["vehicle"], detour, flat)


async def _write_fit(connection: asyncpg.Connection, vehicle: str, text: str) -> None:
    await connection.execute(_WRITE, vehicle, text)


def _stored(sample: PaceSample) -> tuple[float, float, float]:
    speed = nan if sample.recent_mps is None else sample.recent_mps
    return (sample.distance_m, speed, sample.seconds)


def _trip(row: Any) -> LearnedTrip:
    flat: Sequence[float] = row["samples"]
    samples = [
        PaceSample(flat[n], None if isnan(flat[n + 1]) else flat[n + 1], flat[n + 2])
        for n in range(0, len(flat), SAMPLE_FIELDS)
    ]
    return LearnedTrip(samples, row["detour"])
