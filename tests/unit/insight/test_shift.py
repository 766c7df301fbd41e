"""A simulated day is one that the fold finds trips and stops in."""

import random
from datetime import UTC, datetime
from math import nan

from consumers.insight.columns import us_of
from consumers.insight.fold.rules import Rules
from deploy.tools.traffic.drivers import make_drivers
from deploy.tools.traffic.shift import SHIFT_S, day_of_fleet, fixes_of_shift
from tests.unit.insight.insight_tables import at_once

END = datetime(2026, 3, 1, 18, tzinfo=UTC)


def test_a_day_is_in_order_and_the_same_for_the_same_seed():
    day = list(day_of_fleet(3, END, 7))
    times = [when for when, _ in day]
    assert times == sorted(times)
    assert all(0 <= (END - when).total_seconds() <= SHIFT_S for when in times)
    assert {fix["driver_id"] for _, fix in day} == {"demo-0001", "demo-0002", "demo-0003"}
    assert day == list(day_of_fleet(3, END, 7))


def test_a_shift_has_trips_stops_and_a_break():
    [driver] = make_drivers(1, random.Random(1))
    fixes = [
        (us_of(when), fix["latitude"], fix["longitude"], fix["speed"], nan)
        for when, fix in fixes_of_shift(driver, END, random.Random(2))
    ]
    assert 1000 < len(fixes) < 5000
    rows = at_once(fixes, Rules())
    trips = [r for k, r in rows.items() if k[0] == "trip"]
    stops = [r for k, r in rows.items() if k[0] == "stop"]
    assert 15 < len(trips) < 60
    assert 15 < len(stops) < 60
    assert max(r.ended_us - r.started_us for r in stops) >= 30 * 60e6
    assert 50_000 < sum(r.distance_m for r in trips) < 400_000
