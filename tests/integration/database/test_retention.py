"""Old days go, to Parquet or for good; what was computed from them stays."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from common.event import EPOCH
from consumers.insight.fold.rules import Rules
from consumers.insight.rebuild import mark
from deploy.tools.history.archive import file_name
from deploy.tools.history.retention import days_to_drop
from tests.integration.insight.insight_history import follow_to, row, store, stored
from tests.stack import fleetline

RULES = Rules()
TODAY = datetime.now(UTC).date()


def fixes(driver_id, day):
    """An hour of driving and standing on a day."""
    start = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    north, rows = 0.0, []
    for n in range(360):
        north += 0.001 if n % 90 < 60 else 0.0
        rows.append(row(driver_id, start + timedelta(seconds=10 * n), 53.4 + north, -2.9))
    return rows


async def fill(url, days, *, folded=True):
    connection = await asyncpg.connect(url)
    for day in days:
        await store(connection, fixes("a", day) + fixes("b", day), marked=False)
    if folded:
        await follow_to(url, RULES, datetime.now(UTC))
    tables = await stored(connection, "a")
    await connection.close()
    return tables


async def look(url, again=False):
    connection = await asyncpg.connect(url)
    if again:
        await mark(connection, EPOCH, None)
        await follow_to(url, RULES, datetime.now(UTC))
    tables = await stored(connection, "a")
    days = [r[0] for r in await connection.fetch("SELECT fleetline_history_days()")]
    await connection.close()
    return tables, days


def test_a_day_goes_once_all_of_it_is_old():
    days = [date(2026, 1, day) for day in range(1, 11)]
    assert days_to_drop(days, date(2026, 1, 10), 7) == days[:2]


def test_old_days_are_dropped_and_their_sums_stay(database_url):
    old, young = [TODAY - timedelta(days=n) for n in (50, 41)], TODAY - timedelta(days=2)
    before = asyncio.run(fill(database_url, [*old, young]))
    extra = {"DATABASE_URL": database_url, "HISTORY_RETENTION_DAYS": "40"}
    said = fleetline("retention", "--dry-run", extra=extra)
    assert said.stdout.count("would be dropped") == 2
    done = fleetline("retention", extra=extra)
    assert (done.returncode, done.stdout.count(": dropped")) == (0, 2), done.stdout + done.stderr
    tables, days = asyncio.run(look(database_url))
    assert days == [young]
    assert tables == before
    # Folding again what is left takes nothing away of what was computed from what is gone.
    tables, _ = asyncio.run(look(database_url, again=True))
    assert tables == before


def test_what_is_not_computed_yet_is_not_dropped(database_url):
    asyncio.run(fill(database_url, [TODAY - timedelta(days=50)], folded=False))
    extra = {"DATABASE_URL": database_url, "HISTORY_RETENTION_DAYS": "40"}
    done = fleetline("retention", extra=extra)
    assert (done.returncode, "stays until" in done.stdout) == (1, True)
    assert asyncio.run(look(database_url))[1] == [TODAY - timedelta(days=50)]


def test_a_day_that_is_being_read_stays(database_url):
    """As by a backup, which reads for hours."""
    day = TODAY - timedelta(days=50)
    asyncio.run(fill(database_url, [day]))
    extra = {"DATABASE_URL": database_url, "HISTORY_RETENTION_DAYS": "40"}

    async def beside_a_reader():
        reader = await asyncpg.connect(database_url)
        await reader.execute("ALTER FUNCTION fleetline_drop_day SET lock_timeout = '50ms'")
        async with reader.transaction():
            await reader.fetchval("SELECT count(*) FROM locations")
            done = await asyncio.to_thread(fleetline, "retention", extra=extra)
        await reader.close()
        return done

    done = asyncio.run(beside_a_reader())
    assert (done.returncode, "it is being read" in done.stdout) == (1, True), done.stderr
    assert fleetline("retention", extra=extra).returncode == 0
    assert asyncio.run(look(database_url))[1] == []


def test_retention_that_is_not_set_drops_nothing(database_url):
    done = fleetline("retention", extra={"DATABASE_URL": database_url})
    assert (done.returncode, done.stderr.startswith("fleetline: HISTORY_RETENTION")) == (2, True)


def test_days_are_written_checked_and_dropped(database_url, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    day = TODAY - timedelta(days=45)
    asyncio.run(fill(database_url, [day, TODAY]))
    extra = {"DATABASE_URL": database_url}
    arguments = ("archive", "--before", f"{TODAY - timedelta(days=40)}", "--to", str(tmp_path))
    # A file that was cut off, or is older than the last late fix, is written anew.
    (tmp_path / file_name(day)).write_bytes(b"PAR1")
    assert fleetline(*arguments, extra=extra).returncode == 0
    assert asyncio.run(look(database_url))[1] == [day, TODAY]
    done = fleetline(*arguments, "--drop", extra=extra)
    assert (done.returncode, "720 fixes" in done.stdout, ", dropped" in done.stdout) == (
        0,
        True,
        True,
    )
    assert asyncio.run(look(database_url))[1] == [TODAY]
    table = parquet.read_table(tmp_path / file_name(day))
    assert table.num_rows == 720
    rows = table.to_pylist()
    assert [r["driver_id"] for r in rows] == ["a"] * 360 + ["b"] * 360
    assert rows[0]["recorded_at"] == datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    assert [path.name for path in tmp_path.iterdir()] == [file_name(day)]


def test_days_that_fixes_may_still_arrive_for_are_not_dropped(database_url, tmp_path):
    done = fleetline(
        *("archive", "--before", str(TODAY), "--to", str(tmp_path), "--drop"),
        extra={"DATABASE_URL": database_url},
    )
    assert (done.returncode, "may still arrive" in done.stderr) == (2, True)
