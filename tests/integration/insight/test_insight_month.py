"""Fixes that are up to a month late: whatever was folded before them, the tables are those of one
fold over the sorted history. Where there is a columnstore, days go into it in between.
"""

import asyncio
from collections import defaultdict

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.history.table import HistoryTable
from consumers.insight.columns import time_of
from consumers.insight.fold.results import SECOND_US
from consumers.insight.fold.rules import Rules
from tests.integration.insight.insight_history import adopt_at_once, follow_to, rows_of, stored
from tests.integration.insight.test_insight_follower import EMPTY
from tests.servers.timescale import compress
from tests.unit.insight.insight_tables import at_once
from tests.unit.insight.test_fold import CELL_OF, START, journeys

DAY_US = 86_400 * SECOND_US
# EVENT_AGE_MAX_S, by default.
LATE_MAX_US = 30 * DAY_US
RULES = Rules(speed_limit_kmh=50, cells=True)


@st.composite
def months(draw):
    """A driver's fixes in order: journeys on some days of a month."""
    fixes = {}
    for day, journey in draw(
        st.lists(st.tuples(st.integers(0, 29), journeys()), min_size=1, max_size=4)
    ):
        fixes |= {at + day * DAY_US: (at + day * DAY_US, *rest) for at, *rest in journey}
    return [fixes[at] for at in sorted(fixes)]


def arrivals(drivers, rng):
    """(driver, fix) by the day on which it arrives: at once, or on any day of the next month.

    A phone that was off the net sends a day at once; single fixes get lost and come again.
    """
    by_day = defaultdict(list)
    for name, fixes in drivers.items():
        held = {day: rng.choice([0, 0, rng.randrange(LATE_MAX_US)]) for day in range(32)}
        for fix in fixes:
            late = held[(fix[0] - START) // DAY_US]
            if rng.random() < 0.05:
                late = rng.randrange(LATE_MAX_US)
            by_day[(fix[0] + late - START) // DAY_US].append((name, fix))
            if rng.random() < 0.02:
                by_day[(fix[0] + rng.randrange(LATE_MAX_US) - START) // DAY_US].append((name, fix))
    return sorted(by_day.items())


async def arrive(url, drivers, rng):
    """Days pass: fixes arrive, the follower is there or is not, old days are packed away."""
    connection = await asyncpg.connect(url)
    table = HistoryTable(url, timeout_s=10)
    try:
        await connection.execute(EMPTY)
        await adopt_at_once(connection, RULES)
        for day, came in arrivals(drivers, rng):
            rows = {(row[0], row[1]): row for name, fix in came for row in rows_of(name, [fix])}
            await table.store(sorted(rows.values()), possibly_stored=rng.random() < 0.2)
            if rng.random() < 0.4:
                await follow_to(url, RULES, time_of(START + day * DAY_US), CELL_OF)
            if rng.random() < 0.15:
                await compress(connection)
        await follow_to(url, RULES, time_of(START + 70 * DAY_US), CELL_OF)
        return {name: await stored(connection, name) for name in drivers}
    finally:
        await table.close()
        await connection.close()


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(months(), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_a_month_late_ends_in_the_tables_of_one_fold(database_url, found, rng):
    drivers = {f"driver-{n}": fixes for n, fixes in enumerate(found)}
    tables = asyncio.run(arrive(database_url, drivers, rng))
    for name, fixes in drivers.items():
        assert tables[name] == at_once(fixes, RULES, CELL_OF)
