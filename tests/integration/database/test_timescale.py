"""What is TimescaleDB's own: chunks, their days, the columnstore and what changes in it.

Everything else that needs a history runs on it by the fixture `databases`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from common.errors import FleetlineError
from common.event import COLUMNS
from consumers.history.table import HistoryTable
from consumers.insight.fold.rules import Rules
from deploy.schema.columnstore import columnstore_age, settle_columnstore
from deploy.tools.history.retention import drop_day
from tests.integration.insight.insight_history import follow_to, row, store, stored
from tests.servers.timescale import compress, needs_timescale

CHUNKS = (
    "SELECT chunk_name, range_start, is_compressed FROM timescaledb_information.chunks"
    " WHERE hypertable_name = 'locations' ORDER BY range_start"
)
DAYS = "SELECT fleetline_history_days()"
DAY = datetime(2026, 1, 5, tzinfo=UTC)
BYTES_PER_ROW_MAX = 80


@pytest.fixture
def url(timescale_session):
    """A database of the TimescaleDB that is named."""
    name = timescale_session.create_database()
    yield timescale_session.url(name)
    timescale_session.drop_database(name)


def ask(url: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def drive(driver_id: str, start: datetime, fixes: int, every_s: float = 10.0) -> list[Any]:
    """A drive to the north with noise in its last digits, as receivers have it."""
    rows = []
    for n in range(fixes):
        when = start + timedelta(seconds=n * every_s)
        north, east = 53.4 + n * 0.0007 + n % 7 * 1e-6, -2.9 + n % 11 * 1.3e-6
        rows.append(row(driver_id, when, north, east, speed=30.0 + n % 13, heading=float(n % 5)))
    return rows


def test_a_fix_may_come_until_the_columnstore_takes_its_day():
    assert columnstore_age(30 * 86_400.0) == timedelta(days=31)
    assert columnstore_age(3600.0) == timedelta(days=2)


def test_without_timescale_there_is_no_columnstore(database_url):
    if ask(database_url, lambda c: c.fetchval("SELECT to_regproc('show_chunks') IS NULL")):
        asyncio.run(settle_columnstore(database_url, 86_400.0))


@needs_timescale
def test_one_index_and_no_partitions(url):
    async def look(connection):
        await store(connection, drive("a", DAY, 3), marked=False)
        await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", [DAY.date()])
        indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = $1"
        chunks = await connection.fetch(CHUNKS)
        return [
            [r[0] for r in await connection.fetch(indexes, name)]
            for name in ("locations", chunks[0]["chunk_name"])
        ]

    table, chunk = ask(url, look)
    assert [len(table), len(chunk)] == [1, 1]
    assert "UNIQUE" in table[0]
    assert "(driver_id, recorded_at)" in chunk[0]


@needs_timescale
@pytest.mark.parametrize("length", ["1 day", "6 hours", "2 days"])
def test_days_are_utc_and_go_as_a_whole_whatever_a_chunks_length(url, length):
    days = [DAY + timedelta(days=n) for n in range(4)]

    async def look(connection):
        await connection.execute("SET timezone = 'Pacific/Auckland'")
        await connection.execute(
            f"SELECT set_chunk_time_interval('locations', '{length}'::interval)"
        )
        for day in days:
            for hours in (0, 23.99):
                await store(connection, drive("a", day + timedelta(hours=hours), 1), marked=False)
        known = [r[0] for r in await connection.fetch(DAYS)]
        left = []
        for day in known:
            await drop_day(connection, day)
            oldest = await connection.fetchval("SELECT min(recorded_at) FROM locations")
            left.append(oldest and oldest.astimezone(UTC).date())
        return known, left

    known, left = ask(url, look)
    assert set(known) >= {day.date() for day in days}
    # A day never takes a younger one along, and none is left once all are dropped.
    after = [*known[1:], None]
    assert all(oldest <= day for oldest, day in zip(left[:-1], known[1:], strict=True))
    assert left[-1] is None
    if length != "2 days":
        assert left == after


@needs_timescale
def test_the_policy_is_that_of_the_settings(url):
    ages = (
        "SELECT config ->> 'compress_after' FROM timescaledb_information.jobs"
        " WHERE config ? 'compress_after'"
    )
    for age_s, days in ((30 * 86_400.0, 31), (30 * 86_400.0, 31), (43_200.0, 2)):
        asyncio.run(settle_columnstore(url, age_s))
        found = ask(url, lambda c: c.fetch(ages))
        assert [r[0] for r in found] == [f"{days} days"]
    ask(url, lambda c: c.execute("DROP FUNCTION fleetline_columnstore_after"))
    with pytest.raises(FleetlineError, match="columnstore"):
        asyncio.run(settle_columnstore(url, 1.0))


@needs_timescale
def test_the_policy_takes_old_days_and_leaves_the_others(url):
    now = datetime.now(UTC)

    async def run(connection):
        for age in (40, 29, 0):
            rows = drive("a", now - timedelta(days=age, minutes=5), 5)
            await store(connection, rows, marked=False)
        (job,) = await connection.fetch(
            "SELECT job_id FROM timescaledb_information.jobs WHERE config ? 'compress_after'"
        )
        await connection.execute(f"CALL run_job({job['job_id']})")
        return [r["is_compressed"] for r in await connection.fetch(CHUNKS)]

    asyncio.run(settle_columnstore(url, 30 * 86_400.0))
    old, *young = ask(url, run)
    assert (old, any(young)) == (True, False)


@needs_timescale
def test_late_fixes_find_their_place_in_the_columnstore_once(url):
    rows = drive("a", DAY, 400) + drive("b", DAY, 400)
    early, late = rows[::2], sorted(rows[1::2])

    async def run():
        connection = await asyncpg.connect(url)
        await store(connection, early, marked=False)
        assert await compress(connection) == 1
        table = HistoryTable(url, timeout_s=10)
        counts = [await table.store(late), await table.store(late)]
        counts.append(await table.store(sorted(early), possibly_stored=True))
        count = await connection.fetchval("SELECT count(*) FROM locations")
        # What came late is put with the rest when the policy comes by again.
        await compress(connection)
        again = await table.store(sorted(rows))
        counts.append(again)
        got = await connection.fetch(
            f"SELECT {', '.join(COLUMNS)} FROM locations ORDER BY driver_id, recorded_at"
        )
        await table.close()
        await connection.close()
        return counts, count, [tuple(r) for r in got]

    counts, count, got = asyncio.run(run())
    assert counts == [400, 0, 0, 0]
    assert count == 800
    assert got == sorted(rows)


@needs_timescale
def test_trips_of_late_fixes_in_the_columnstore(url):
    """The follower folds again from compressed days."""
    rows = drive("a", DAY, 2000)

    async def run():
        connection = await asyncpg.connect(url)
        await store(connection, rows[:1000] + rows[1100:], marked=False)
        await compress(connection)
        await follow_to(url, Rules(), DAY + timedelta(days=9))
        first = await stored(connection, "a")
        table = HistoryTable(url, timeout_s=10)
        await table.store(rows[1000:1100])
        await table.close()
        await follow_to(url, Rules(), DAY + timedelta(days=9))
        second = await stored(connection, "a")
        await connection.execute("UPDATE insight_settings SET rules = ''")
        await compress(connection)
        await follow_to(url, Rules(), DAY + timedelta(days=9))
        third = await stored(connection, "a")
        await connection.close()
        return first, second, third

    first, second, third = asyncio.run(run())
    assert first != second == third


@needs_timescale
def test_a_row_of_the_columnstore_is_small(url):
    async def run(connection):
        for driver in range(20):
            await store(connection, drive(f"driver-{driver}", DAY, 2000), marked=False)
        size = "SELECT hypertable_size('locations')"
        plain = await connection.fetchval(size)
        await compress(connection)
        return plain, await connection.fetchval(size)

    plain, packed = ask(url, run)
    assert packed / 40_000 < BYTES_PER_ROW_MAX
    assert packed < plain / 2


@needs_timescale
def test_a_day_of_the_columnstore_is_dropped(url):
    async def run(connection):
        for n in range(2):
            await store(connection, drive("a", DAY + timedelta(days=n), 50), marked=False)
        await compress(connection)
        await drop_day(connection, DAY.date())
        return [r[0] for r in await connection.fetch(DAYS)], await connection.fetchval(
            "SELECT count(*) FROM locations"
        )

    assert ask(url, run) == ([date(2026, 1, 6)], 50)
