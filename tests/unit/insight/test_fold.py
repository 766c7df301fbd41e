"""The fold of a driver's fixes: trackintel's stops, and the same answer however fixes come."""

import csv
import os
import random
from collections import defaultdict
from datetime import UTC, datetime
from math import isclose, nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.geo import cells
from consumers.insight.fold.results import SECOND_US
from consumers.insight.fold.rules import Rules
from tests.unit.insight.insight_tables import Fix, Tables, at_once, plainly

BUS = Path(__file__).parents[3] / "deploy/examples/liverpool_bus_route14.csv"
BUS_COLUMNS = ("vehicle_id", "timestamp", "latitude", "longitude")
BUS_STOPS = Path(__file__).parent / "bus_stops.csv"
GEOLIFE = os.environ.get("TEST_GEOLIFE_CSV", "")
START = 1_767_225_600 * SECOND_US
CELL_OF = cells.cell_function() if cells.available() else None


def traces(path, columns, delimiter=","):
    """Fixes of each driver in order of time, each time once."""
    driver, time, latitude, longitude = columns
    found = defaultdict(dict)
    with path.open() as file:
        for row in csv.DictReader(file, delimiter=delimiter):
            when = datetime.fromisoformat(row[time])
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            at = round(when.timestamp()) * SECOND_US
            place = float(row[latitude]), float(row[longitude])
            found[row[driver]].setdefault(at, (at, *place, nan, nan))
    return {who: [fixes[at] for at in sorted(fixes)] for who, fixes in found.items()}


def moved_stops(trace, rules):
    """Stops that a move ended, as trackintel gives them."""
    rows = at_once(trace, rules)
    return [r for k, r in rows.items() if k[0] == "stop" and r.ended_by == "move"]


@pytest.mark.parametrize(
    ("radius_m", "stop_s", "count"), [(100, 300, 5), (50, 120, 28), (100, 180, 24), (200, 180, 34)]
)
def test_stops_of_the_bus_are_trackintels(radius_m, stop_s, count):
    """Frozen from trackintel 1.4.2, sliding, gap_threshold 15 minutes: to the second."""
    with BUS_STOPS.open() as file:
        expected = [
            (row["vehicle"], int(row["started"]), int(row["finished"]))
            for row in csv.DictReader(file)
            if (int(row["radius_m"]), int(row["stop_s"])) == (radius_m, stop_s)
        ]
    found = [
        (vehicle, stop.started_us // SECOND_US, stop.ended_us // SECOND_US)
        for vehicle, trace in traces(BUS, BUS_COLUMNS).items()
        for stop in moved_stops(trace, Rules(radius_m, stop_s))
    ]
    assert len(found) == count
    assert sorted(found) == sorted(expected)


@pytest.mark.skipif(not GEOLIFE, reason="TEST_GEOLIFE_CSV names no GeoLife sample")
@pytest.mark.parametrize(
    ("radius_m", "stop_s", "count"), [(100, 300, 4), (50, 120, 20), (100, 180, 11), (200, 180, 32)]
)
def test_stops_of_people_are_trackintels(radius_m, stop_s, count):
    people = traces(Path(GEOLIFE), ("tracker", "t", "Y", "X"), ";")
    found = [s for trace in people.values() for s in moved_stops(trace, Rules(radius_m, stop_s))]
    assert len(found) == count


@st.composite
def journeys(draw):
    """A driver's fixes in order: standing about, driving, creeping, jumping, silent."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    at = START + rng.randrange(3600) * SECOND_US
    latitude, longitude = draw(st.sampled_from([(53.4, -2.99), (0.0, 179.9995), (-64.1, 10.0)]))
    fixes: list[Fix] = []
    for _ in range(draw(st.integers(1, 9))):
        kind = rng.choice(["stand", "stand", "drive", "drive", "creep", "jump", "silence"])
        every = rng.choice([1, 5, 20, 60]) * SECOND_US
        north, east = rng.uniform(-1, 1), rng.uniform(-1, 1)
        if kind == "silence":
            at += rng.choice([899, 900, 901, 4000, 30_000]) * SECOND_US
            continue
        for _ in range(rng.randrange(1, 30)):
            step_m = {"stand": 0, "drive": 12, "creep": 0.4, "jump": 900}[kind]
            step = step_m * every / SECOND_US / 111_000
            latitude += north * step + rng.gauss(0, 3e-5)
            longitude = (longitude + east * step + rng.gauss(0, 3e-5) + 180) % 360 - 180
            speed = rng.choice([nan, rng.uniform(0, 90), 400.0])
            accuracy = rng.choice([nan, 5.0, 60.0])
            fixes.append((at, latitude, longitude, speed, accuracy))
            at += every + rng.choice([0, 0, rng.randrange(SECOND_US)])
    return fixes or [(at, latitude, longitude, nan, nan)]


RULES = st.sampled_from(
    [
        Rules(speed_limit_kmh=50),
        Rules(stop_min_s=1800, gap_s=3600),
        Rules(stop_radius_m=20, stop_min_s=5, gap_s=61),
    ]
)


def test_a_speed_that_was_named_while_it_stood_is_not_the_trips():
    """It was, unless a late fix had the fold begin again at the end of the stop."""
    parked = [(START + n * 20 * SECOND_US, 53.4, -2.9, 87.0 - n, 5.0) for n in range(20)]
    begin = parked[-1][0]
    driven = [
        (begin + n * 20 * SECOND_US, 53.4 + n * 0.002, -2.9, 30.0 + n, 5.0) for n in range(1, 9)
    ]
    after, rules = [(begin + 7200 * SECOND_US, 53.5, -2.9, nan, nan)], Rules()
    for page in (1, 1000):
        tables = Tables(rules)
        tables.store(parked + driven + after)
        tables.follow(after[0][0], page)
        (trip,) = (row for key, row in tables.rows.items() if key[0] == "trip")
        assert trip.speed_max == 38.0
        tables.repair(after[0][0])
        assert tables.rows == at_once(parked + driven + after, rules)


@settings(max_examples=40, deadline=None)
@given(journeys(), RULES)
def test_each_boundary_is_a_place_to_begin_again(fixes, rules):
    expected = at_once(fixes, rules, CELL_OF)
    tables = Tables(rules, CELL_OF)
    tables.store(fixes)
    tables.follow(fixes[-1][0], 1000)
    for fix in fixes:
        tables.repair(fix[0])
        assert tables.rows == expected


@settings(max_examples=150, deadline=None)
@given(journeys(), RULES, st.randoms(use_true_random=False), st.sampled_from([1, 7, 37, 1000]))
def test_any_order_of_arrival_any_pages_one_answer(fixes, rules, rng, page):
    """Late, repeated and paged fixes end in the tables of one fold over the sorted history."""
    late = [fix for fix in fixes if rng.random() < 0.15]
    tables = Tables(rules, CELL_OF)
    waiting = list(late)
    for first in range(0, len(fixes), 11):
        chunk = [fix for fix in fixes[first : first + 11] if fix not in late]
        came = [fix for fix in waiting if rng.random() < 0.3]
        waiting = [fix for fix in waiting if fix not in came]
        tables.store(chunk + came + rng.choices(fixes[: first + 1], k=2))
        tables.follow(fixes[min(first + 10, len(fixes) - 1)][0], page)
    tables.store(waiting)
    tables.follow(fixes[-1][0], page)
    assert tables.rows == at_once(fixes, rules, CELL_OF)


@settings(max_examples=150, deadline=None)
@given(journeys(), RULES)
def test_a_slow_second_opinion_says_the_same(fixes, rules):
    rows = at_once(fixes, rules)
    stops, distance, moving_s = plainly(fixes, rules)
    assert [
        (r.started_us, r.ended_us, r.ended_by or "open") for k, r in rows.items() if k[0] == "stop"
    ] == stops
    quarters = [r for k, r in rows.items() if k[0] == "quarter"]
    assert isclose(sum(q.distance_m for q in quarters), distance, rel_tol=1e-9, abs_tol=1e-6)
    assert isclose(sum(q.moving_us for q in quarters) / SECOND_US, moving_s, abs_tol=1e-6)
    assert sum(q.fixes for q in quarters) == len(fixes)
    gaps = sum(r.ended_us - r.started_us for k, r in rows.items() if k[0] == "gap")
    tracked = sum(q.tracked_us for q in quarters)
    # Moving, standing and gaps are all there is between the first fix and the last.
    assert tracked + gaps == fixes[-1][0] - fixes[0][0]
    assert all(0 <= q.moving_us <= q.tracked_us <= 900 * SECOND_US for q in quarters)
    assert all(q.over_limit_us <= q.moving_us for q in quarters)


def test_a_parked_phone_drives_nowhere():
    """At 1 Hz its noise made 32 km an hour."""
    rng = random.Random(1)
    fixes = [
        (START + s * SECOND_US, 53.4 + rng.gauss(0, 5e-5), -2.9 + rng.gauss(0, 8e-5), 0.0, 5.0)
        for s in range(3600)
    ]
    rows = at_once(fixes, Rules())
    assert sum(r.distance_m for k, r in rows.items() if k[0] == "quarter") < 50
    assert [k[0] for k in rows if k[0] in {"trip", "stop"}] == ["stop"]


def test_a_jump_is_no_distance():
    fixes = [(START + n * 10 * SECOND_US, 53.4 + n * 0.001, -2.9, nan, nan) for n in range(20)]
    there = [*fixes[:10], (fixes[10][0] - SECOND_US, 10.0, 10.0, nan, nan), *fixes[10:]]
    straight = at_once(fixes, Rules())["trip", START].distance_m
    assert straight * 0.9 < at_once(there, Rules())["trip", START].distance_m <= straight


def test_a_trip_goes_on_until_a_stop_or_a_gap_ends_it():
    drive = [(START + n * 10 * SECOND_US, 53.4 + n * 0.001, -2.9, 40.0, 5.0) for n in range(20)]
    last = drive[-1]
    stand = [(last[0] + n * 10 * SECOND_US, last[1], last[2], 0.0, 5.0) for n in range(1, 20)]
    assert at_once(drive, Rules())["trip", START].open
    rows = at_once([*drive, *stand], Rules())
    trip = rows["trip", START]
    assert (trip.open, trip.ended_us, trip.fixes, trip.speed_max) == (False, last[0], 20, 40.0)
    assert rows["stop", last[0]].ended_by is None
    after = (stand[-1][0] + 901 * SECOND_US, *last[1:])
    rows = at_once([*drive, *stand, after], Rules())
    assert rows["stop", last[0]].ended_by == "gap"
    assert rows["gap", stand[-1][0]].ended_us == after[0]
