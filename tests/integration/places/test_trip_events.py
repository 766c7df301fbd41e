"""`trip.ended`: once a trip, with the trip, though trips are computed again."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from consumers.insight.fold.rules import Rules
from consumers.insight.rebuild import mark
from consumers.insight.trip_news import tell_silent
from tests.integration.insight.insight_history import ALL, follow_to, row, store

RULES = Rules()
NOW = datetime.now(UTC).replace(microsecond=0)


def drive(begin_min: float, end_min: float, north: float, step_s: int = 10):
    """Rows of a drive of 15 km/h, from and to minutes before now."""
    count = round((begin_min - end_min) * 60 / step_s)
    for n in range(count + 1):
        when = NOW - timedelta(minutes=begin_min) + timedelta(seconds=n * step_s)
        yield row("d", when, 53.0 + north + n * 0.0004, -2.9)


def stand(begin_min: float, end_min: float, north: float):
    for n in range(round((begin_min - end_min) * 6)):
        when = NOW - timedelta(minutes=begin_min) + timedelta(seconds=10 * n + 1)
        yield row("d", when, 53.0 + north, -2.9)


def test_a_trip_is_told_once_however_often_it_is_computed(database_url):
    first, second = list(drive(100, 90, 0.0)), list(drive(80, 70, 0.024))
    stop, end = list(stand(90, 80, 0.024)), list(stand(70, 60, 0.048))
    late = first[20:26]
    rows = [r for r in (*first, *stop, *second, *end) if r not in late]

    async def main():
        connection = await asyncpg.connect(database_url)
        told = "SELECT recorded_at, data FROM events WHERE type = 'trip.ended' ORDER BY seq"
        seen = []
        for begin in range(0, len(rows), 40):
            await store(connection, rows[begin : begin + 40])
            await follow_to(database_url, RULES, rows[min(begin + 39, len(rows) - 1)][1])
            seen = await connection.fetch(told)
        assert len(seen) == 2
        # Late fixes in the first trip, and everything again.
        await store(connection, late)
        await follow_to(database_url, RULES, NOW)
        await mark(connection, NOW - timedelta(days=1), None)
        await follow_to(database_url, RULES, NOW)
        assert await connection.fetch(told) == seen
        trips = await connection.fetch("SELECT started_at, ended_at FROM trips ORDER BY 1")
        assert [e["recorded_at"] for e in seen] == [t["ended_at"] for t in trips]
        await connection.close()

    asyncio.run(main())


def test_a_driver_that_falls_silent_has_ended_its_trip(database_url):
    rows = list(drive(60, 50, 0.0))

    async def main():
        connection = await asyncpg.connect(database_url)
        count = "SELECT count(*) FROM events WHERE type = 'trip.ended'"
        await store(connection, rows)
        await follow_to(database_url, RULES, NOW)
        assert await connection.fetchval("SELECT open FROM trips")
        assert await connection.fetchval(count) == 0
        await tell_silent(connection, ALL, gap_s=86_400)
        assert await connection.fetchval(count) == 0
        for _ in range(2):
            await tell_silent(connection, ALL, gap_s=900)
            assert await connection.fetchval(count) == 1
        # It goes on after the gap: the fold ends the same trip, which is no news.
        await store(connection, list(drive(20, 10, 0.03)))
        await follow_to(database_url, RULES, NOW)
        assert await connection.fetchval(count) == 1
        await connection.close()

    asyncio.run(main())
