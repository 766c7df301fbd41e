"""The follower over a real history: whatever the order, the pages and the deaths, the tables are
what one fold over the sorted history says.
"""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.settings.insight import INSIGHT_LAG_S
from consumers.insight import follower as following
from consumers.insight import pauses
from consumers.insight.columns import time_of
from consumers.insight.fold.results import SECOND_US
from consumers.insight.fold.rules import Rules
from consumers.insight.rebuild import adopt, mark, rules_used, waiting
from tests.integration.insight.insight_history import (
    adopt_at_once,
    follow_to,
    killed,
    row,
    rows_of,
    store,
    stored,
)
from tests.unit.insight.insight_tables import at_once
from tests.unit.insight.test_fold import CELL_OF, START, journeys

SOON = SECOND_US * 86_400 * 40
EMPTY = (
    "TRUNCATE locations, stops, trips, gaps, driver_quarters, driver_cell_hours, insight_state,"
    " insight_late, insight_repairs, insight_shares"
)


@pytest.fixture
def small_pages(monkeypatch):
    """Every bound is met: more drivers, fixes and marks than fit at once."""
    for name, value in (
        ("FIXES_MAX", 3), ("COMPANY", 2),
        ("COMPANY_FIXES_MAX", 11), ("MARKS_MAX", 1), ("REPAIRS_MAX", 1),
    ):  # fmt: skip
        monkeypatch.setattr(following, name, value)
    for name in ("DRIVERS_LIVE", "DRIVERS_BEHIND", "NAMES_LIVE", "NAMES_BEHIND"):
        monkeypatch.setattr(pauses, name, 2)


async def arrive(url, drivers, rng):
    """Fixes come in some order, some twice, some very late, while followers come and go."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(EMPTY)
        left = {name: list(fixes) for name, fixes in drivers.items()}
        late = {name: [f for f in fixes if rng.random() < 0.15] for name, fixes in drivers.items()}
        horizon = START
        while any(left.values()):
            for name, fixes in left.items():
                now, left[name] = fixes[:40], fixes[40:]
                held = late[name]
                come = [f for f in now if f not in held]
                come += [f for f in held if f not in fixes and rng.random() < 0.3]
                come += rng.choices(drivers[name], k=2) if rng.random() < 0.3 else []
                rows = rows_of(name, {f[0]: f for f in come}.values())
                if rows:
                    await store(connection, rows)
                horizon = max([horizon, *(f[0] for f in come)])
            until = time_of(horizon - rng.randrange(600) * SECOND_US)
            if rng.random() < 0.3:
                await killed(url, RULES, until, rng.random() * 0.1, CELL_OF)
            elif rng.random() < 0.7:
                await follow_to(url, RULES, until, CELL_OF)
        for name, fixes in drivers.items():
            await store(connection, rows_of(name, fixes))
        await follow_to(url, RULES, time_of(START + SOON), CELL_OF)
        return {name: await stored(connection, name) for name in drivers}
    finally:
        await connection.close()


RULES = Rules(speed_limit_kmh=50, cells=True)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(journeys(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_tables_are_one_fold_over_the_history(database_url, small_pages, found, rng):
    drivers = {f"driver-{n}": fixes for n, fixes in enumerate(found)}
    tables = asyncio.run(arrive(database_url, drivers, rng))
    for name, fixes in drivers.items():
        assert tables[name] == at_once(fixes, RULES, CELL_OF)


def drive(hours=6):
    """A shift: drives of ten minutes and stops of five, a fix every ten seconds."""
    fixes, north = [], 0.0
    for n in range(hours * 360):
        north += 0.0008 if n % 90 < 60 else 0.0
        fixes.append((START + n * 10 * SECOND_US, 53.4 + north, -2.9, 32.0, 5.0))
    return fixes


def test_a_late_fix_folds_no_more_than_the_hours_before_it_again(database_url):
    """Not the whole history of a driver for one fix."""
    fixes = drive(hours=20)
    late = fixes.pop(len(fixes) * 3 // 4)

    async def run():
        connection = await asyncpg.connect(database_url)
        await store(connection, rows_of("a", fixes), marked=False)
        await follow_to(database_url, RULES, time_of(START + SOON), CELL_OF)
        await store(connection, rows_of("a", [late]))
        again = await follow_to(database_url, RULES, time_of(START + SOON), CELL_OF)
        tables = await stored(connection, "a")
        await connection.close()
        return again.fixes, tables

    count, tables = asyncio.run(run())
    assert tables == at_once([*fixes, late], RULES, CELL_OF)
    assert count < len(fixes) // 2


def test_each_first_follower_waits_for_rows_that_leave_no_mark(database_url):
    """The rules were stored before the wait: who died in it let the next one begin at once.

    A row that was under way without a mark then stayed unknown for ever.
    """
    waits = []

    async def dies(seconds):
        waits.append(seconds)
        raise ConnectionResetError

    async def lasts(seconds):
        waits.append(seconds)

    async def run():
        connection = await asyncpg.connect(database_url)
        for begun in range(1, 4):
            with pytest.raises(ConnectionResetError):
                await adopt(connection, RULES, dies)
            assert len(waits) == begun
            assert await rules_used(connection) is None
        # Whoever stores late rows meanwhile marks them, though nothing is folded yet.
        await store(connection, rows_of("a", drive(hours=1)))
        assert await connection.fetchval("SELECT count(*) FROM insight_late") == 1
        await adopt(connection, RULES, lasts)
        assert waits == [INSIGHT_LAG_S] * 4
        await adopt(connection, RULES, dies)
        assert await rules_used(connection) == repr(RULES)
        await connection.execute("UPDATE insight_settings SET unmarked = true")
        for wait in (dies, dies):
            with pytest.raises(ConnectionResetError):
                await adopt(connection, RULES, wait)
        await adopt(connection, RULES, lasts)
        await connection.close()

    asyncio.run(run())
    assert len(waits) == 7


def test_other_rules_and_rows_without_marks_fold_everything_again(database_url):
    fixes = drive()

    async def run():
        connection = await asyncpg.connect(database_url)
        await adopt_at_once(connection, RULES)
        await store(connection, rows_of("a", fixes[:-1]), marked=False)
        await follow_to(database_url, RULES, time_of(START + SOON), CELL_OF)
        other = Rules(stop_min_s=1000, cells=True)
        await adopt_at_once(connection, other)
        await follow_to(database_url, other, time_of(START + SOON), CELL_OF)
        first = await stored(connection, "a")
        await connection.execute("UPDATE insight_settings SET unmarked = true")
        await store(connection, rows_of("a", fixes), marked=False)
        await adopt_at_once(connection, other)
        await follow_to(database_url, other, time_of(START + SOON), CELL_OF)
        second = await stored(connection, "a")
        await mark(connection, time_of(START), "a")
        assert await waiting(connection) == 1
        await follow_to(database_url, other, time_of(START + SOON), CELL_OF)
        third = await stored(connection, "a")
        await connection.close()
        return first, second, third

    first, second, third = asyncio.run(run())
    other = Rules(stop_min_s=1000, cells=True)
    assert first == at_once(fixes[:-1], other, CELL_OF)
    assert second == third == at_once(fixes, other, CELL_OF)


def test_nothing_is_folded_that_may_still_get_company(database_url):
    """What is younger than the lag, or dated ahead, waits."""

    async def run():
        connection = await asyncpg.connect(database_url)
        now = await connection.fetchval("SELECT now()")
        ages = (60, 40, 14, -3600)
        rows = sorted(row("a", now - timedelta(seconds=age), 53.4, -2.9) for age in ages)
        await store(connection, rows, marked=False)
        await follow_to(database_url, RULES, None)
        fixes = await connection.fetchval("SELECT sum(fixes) FROM driver_quarters")
        await connection.close()
        return fixes

    assert asyncio.run(run()) == 2


def test_sums_are_those_of_plain_sql_over_the_same_fixes(database_url):
    """Roll-ups against the rows: counts and the haversine between moves, to 1e-9."""
    fixes = [f for f in drive() if f[0]]
    moving = [f for n, f in enumerate(fixes[:60])]

    async def run():
        connection = await asyncpg.connect(database_url)
        await store(connection, rows_of("a", moving), marked=False)
        await follow_to(database_url, RULES, time_of(START + SOON))
        sums = await connection.fetchrow(
            "SELECT sum(distance_m), sum(fixes), sum(tracked_s), max(speed_max)"
            " FROM driver_hours WHERE driver_id = 'a'"
        )
        raw = await connection.fetchrow(
            """
            SELECT sum(2 * 6371008.8 * asin(sqrt(
                       sin(radians(latitude - lat) / 2) ^ 2
                       + cos(radians(latitude)) * cos(radians(lat))
                       * sin(radians(longitude - lon) / 2) ^ 2))),
                   count(*), extract(epoch from max(recorded_at) - min(recorded_at)), max(speed)
            FROM (SELECT *, lag(latitude) OVER w AS lat, lag(longitude) OVER w AS lon
                  FROM locations WHERE driver_id = 'a' WINDOW w AS (ORDER BY recorded_at)) AS l
            """
        )
        await connection.close()
        return sums, raw

    sums, raw = asyncio.run(run())
    assert sums[0] == pytest.approx(raw[0], rel=1e-9)
    assert (sums[1], sums[2], sums[3]) == (raw[1], float(raw[2]), raw[3])
