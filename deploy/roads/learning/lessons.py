"""What learning reads and writes in the database. Holds no rules."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files

import asyncpg

from common.contract import Vehicle
from common.roads.thin import TraceFix
from deploy.roads.learning.speeds import SpeedSums, grouped

_SQL = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in files(__package__).iterdir()
    if file.name.endswith(".sql")
}
_NEWEST = "SELECT max(day) FROM road_lessons WHERE vehicle = $1"
# Trips of a day, in one database, that are learned from; of more, so many by chance. A trip costs
# 10 to 50 ms.
TRIPS_MAX = 20_000
# Fixes of a trip that are looked at: a day at one a second.
FIXES_MAX = 86_400
SPEED_COLUMNS = ("vehicle", "from_node", "to_node", "slot", "metres", "expected_s", "observed_s")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A day that was learned from; seconds of the trips of the day, None: it was not judged."""

    day: date
    trips: int
    under_way_s: float
    off_before_s: float | None
    off_after_s: float | None
    kept: bool


class LessonBook:
    """The lessons of one kind of vehicle, over a connection.

    `others` are connections to the other databases, where there are several: trips of the drivers
    that home has not. Orders and lessons are home's.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        vehicle: Vehicle,
        others: Sequence[asyncpg.Connection] = (),
    ) -> None:
        self._connection = connection
        self._vehicle = vehicle
        self._others = others

    async def days(self, since: date, until: date) -> list[date]:
        """Days with trips that were not learned from yet, oldest first; `until` is not one."""
        rows = await self._connection.fetch(_SQL["days"], self._vehicle, since, until)
        days = {row[0] for row in rows}
        if self._others:
            newest = await self._connection.fetchval(_NEWEST, self._vehicle)
            first = since if newest is None else max(since, newest + timedelta(days=1))
            for other in self._others:
                # It has no lessons, so all its days come.
                rows = await other.fetch(_SQL["days"], self._vehicle, first, until)
                days |= {row[0] for row in rows}
        return sorted(days)

    async def traces(self, day: date) -> AsyncIterator[list[TraceFix]]:
        """The fixes of the trips that began on a day, trip by trip."""
        begin = datetime.combine(day, time(), UTC)
        span = begin, begin + timedelta(days=1)
        trips = await self._connection.fetch(_SQL["trips"], self._vehicle, *span, TRIPS_MAX)
        for trip in trips:
            rows = await self._connection.fetch(_SQL["fixes"], *trip, FIXES_MAX)
            yield [TraceFix(row[0].timestamp(), row[1], row[2], row[3]) for row in rows]
        for other in self._others:
            for trip in await self._trips_elsewhere(other, *span):
                rows = await other.fetch(_SQL["fixes"], *trip, FIXES_MAX)
                yield [TraceFix(row[0].timestamp(), row[1], row[2], row[3]) for row in rows]

    async def _trips_elsewhere(
        self, other: asyncpg.Connection, begin: datetime, end: datetime
    ) -> list[asyncpg.Record]:
        trips = await other.fetch(_SQL["trips_elsewhere"], begin, end, TRIPS_MAX)
        names, ends = [trip[0] for trip in trips], [trip[2] for trip in trips]
        vehicles = await self._connection.fetch(_SQL["vehicles"], names, ends)
        pairs = zip(trips, vehicles, strict=True)
        return [trip for trip, vehicle in pairs if vehicle[0] == self._vehicle]

    async def sums(self) -> SpeedSums:
        """What was learned so far."""
        rows = await self._connection.fetch(
            "SELECT from_node, to_node, slot, metres, expected_s, observed_s"
            " FROM road_speeds WHERE vehicle = $1",
            self._vehicle,
        )
        return grouped(map(tuple, rows))

    async def write(self, sums: SpeedSums, lessons: Sequence[Lesson]) -> None:
        """Put these in place of what was learned so far: all or nothing."""
        rows = [
            (self._vehicle, *segment, slot, p.metres, p.expected_s, p.observed_s)
            for segment, slots in sums.by_segment.items()
            for slot, p in slots.items()
        ]
        async with self._connection.transaction():
            await self._connection.execute(
                "DELETE FROM road_speeds WHERE vehicle = $1", self._vehicle
            )
            await self._connection.copy_records_to_table(
                "road_speeds", records=rows, columns=SPEED_COLUMNS
            )
            await self._connection.executemany(
                _SQL["lesson"],
                [
                    (
                        *(self._vehicle, lesson.day, lesson.trips, lesson.under_way_s),
                        *(lesson.off_before_s, lesson.off_after_s, lesson.kept),
                    )
                    for lesson in lessons
                ],
            )
