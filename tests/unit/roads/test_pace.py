"""Pace learned from trips: what it finds, what it must not believe, and what it is worth."""

import os
import random
from math import exp, log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pace import bus, by_minutes, judge, predictions_of
from common.roads.pace import DISTANCE_MAX_M, Pace
from common.roads.pace_fit import (
    LearnedTrip,
    PaceSample,
    TimedPlace,
    detour_of,
    learn,
    recent_mps,
)
from common.roads.pace_store import OWN_TRIPS_MIN, pace_in
from consumers.insight.fold.rules import Rules
from tests.unit.insight.insight_tables import at_once
from tests.unit.insight.test_fold import BUS, traces

GEOLIFE = os.environ.get("TEST_GEOLIFE_CSV", "")
DISTANCES = st.floats(0, 1e6)
SPEEDS = st.none() | st.floats(0, 60)


def driven(rng: random.Random, trips: int, scatter: float) -> list[LearnedTrip]:
    """Trips of a made-up fleet: ln(seconds) = 1 + 0.8 ln(metres) - 0.3 ln(m/s + 0.5)."""
    found = []
    for _ in range(trips):
        luck = rng.gauss(0, scatter)
        samples = []
        for _ in range(6):
            metres, speed = exp(rng.uniform(5, 10)), rng.uniform(0, 15)
            seconds = exp(1 + 0.8 * log(metres) - 0.3 * log(speed + 0.5) + luck)
            samples.append(PaceSample(metres, speed, seconds))
        found.append(LearnedTrip(samples, 1.3))
    return found


def test_it_finds_what_the_fleet_is_like() -> None:
    fit = learn(driven(random.Random(1), 400, 0.2))
    assert fit is not None
    assert (fit.trips, fit.detour) == (400, 1.3)
    assert fit.moving.by_distance == pytest.approx(0.8, abs=0.02)
    assert fit.moving.by_speed == pytest.approx(-0.3, abs=0.03)
    # 80 % of a normal scatter lie within 1.28 standard deviations.
    assert fit.moving.high == pytest.approx(0.2 * 1.28, abs=0.05)
    assert fit.moving.low == pytest.approx(-0.2 * 1.28, abs=0.05)


def test_a_few_wild_trips_do_not_turn_the_slopes() -> None:
    """Few trips of one length say nothing about longer ones; what is usual stands."""
    rng = random.Random(2)
    wild = [
        LearnedTrip([PaceSample(rng.uniform(450, 550), rng.uniform(1, 2), rng.uniform(60, 3000))])
        for _ in range(12)
    ]
    fit = learn(wild)
    assert fit is not None
    assert fit.moving.by_distance == pytest.approx(0.6, abs=0.1)
    assert fit.moving.by_speed == pytest.approx(-0.6, abs=0.1)


def test_below_enough_trips_only_the_median_is_learned() -> None:
    fit = learn(driven(random.Random(3), 3, 0.0))
    assert fit is not None
    assert (fit.moving.by_distance, fit.moving.by_speed) == (0.6, -0.6)
    one = learn([LearnedTrip([PaceSample(1000, None, 300)])])
    assert one is not None
    assert Pace(one).estimate(1000).seconds == pytest.approx(300)
    # Without a speed in any trip, who has one is answered by what is known.
    assert Pace(one).estimate(1000, 5.0).seconds == pytest.approx(300)


def test_nothing_is_learned_from_nothing() -> None:
    assert learn([]) is None
    assert learn([LearnedTrip([])]) is None


@given(DISTANCES, SPEEDS, st.integers(0, 40), st.sampled_from([None, "car", "bicycle", "foot"]))
def test_every_estimate_is_one(
    metres: float, speed: float | None, trips: int, vehicle: str | None
) -> None:
    pace = Pace(learn(driven(random.Random(trips), trips, 0.5)), vehicle)
    estimate = pace.estimate(metres, speed)
    assert 0 <= estimate.low_s <= estimate.seconds <= estimate.high_s < 1e9
    assert estimate.method == pace.method == ("history" if trips else "straight")
    assert pace.estimate(metres * 2, speed).seconds >= estimate.seconds
    assert pace.way_m(metres) >= metres


def test_a_way_that_nobody_drove_is_several_of_the_longest() -> None:
    pace = Pace(learn(driven(random.Random(4), 50, 0.1)))
    longest = pace.estimate(DISTANCE_MAX_M, 10.0).seconds
    assert pace.estimate(3 * DISTANCE_MAX_M, 10.0).seconds == pytest.approx(3 * longest)


def test_the_straight_line_of_a_walker_is_slow() -> None:
    assert Pace(vehicle="foot").estimate(1000).seconds > Pace(vehicle="car").estimate(1000).seconds


def test_the_speed_is_that_of_the_last_minutes() -> None:
    # 0.001 degrees of latitude are 111 m.
    places = [(60.0 * n, 53 + 0.001 * n, -3.0) for n in range(20)]
    assert recent_mps(places, 0) is None
    assert recent_mps(places, 19) == pytest.approx(111.19 / 60, rel=1e-3)
    there_and_back = [*places, *((60.0 * (20 + n), 53.019 - 0.001 * n, -3.0) for n in range(3))]
    assert (recent_mps(there_and_back, 22) or 9) < 0.2


def test_a_trip_that_came_back_has_no_detour() -> None:
    out, back = (0.0, 53.0, -3.0), (60.0, 53.0001, -3.0)
    assert detour_of([out, back], 5000) is None
    assert detour_of([out, out], 5000) is None
    assert detour_of([out, (60.0, 53.01, -3.0)], 1500) == pytest.approx(1.35, abs=0.01)


def test_a_kind_of_vehicle_speaks_for_itself_once_it_has_enough_trips() -> None:
    every = learn(driven(random.Random(5), 100, 0.1))
    few, many = (learn(driven(random.Random(6), n, 0.1)) for n in (5, OWN_TRIPS_MIN))
    assert every is not None
    assert few is not None
    assert many is not None
    assert pace_in({"": every, "foot": few}, "foot").fit is every
    assert pace_in({"": every, "foot": many}, "foot").fit is many
    assert pace_in({"": every}, None).fit is every
    assert pace_in({}, "car").method == "straight"


def trips_of(
    fixes: dict[str, list[tuple[int, float, float, float, float]]],
) -> list[list[TimedPlace]]:
    """The trips that the follower of the history makes of them."""
    found = []
    for trace in fixes.values():
        for (kind, *_), trip in at_once(trace, Rules()).items():
            if kind == "trip":
                span = range(trip.started_us, trip.ended_us + 1)
                found.append([(t / 1e6, y, x) for t, y, x, *_ in trace if t in span])
    return found


def test_the_bus_by_its_trips() -> None:
    """16 runs of one line, 11 of them learned from, in the evening of a working day."""
    judged = judge(bus())
    assert judged.predictions == 110
    assert judged.error_min <= 3.0
    assert judged.error_min <= judged.straight_error_min / 2
    assert 0.7 <= judged.coverage <= 0.9
    assert sum(part.predictions for part in by_minutes(bus()).values()) == 110


def test_the_bus_between_its_stops() -> None:
    """The same fixes as the running service sees them, cut at every stop of two minutes."""
    vehicles = traces(BUS, ("vehicle_id", "timestamp", "latitude", "longitude"))
    judged = judge(predictions_of(trips_of(vehicles)))
    assert judged.error_min <= 3.0
    assert judged.error_min <= judged.straight_error_min / 2
    assert judged.coverage >= 0.7


@pytest.mark.skipif(not GEOLIFE, reason="TEST_GEOLIFE_CSV names no file")
def test_people_on_foot_by_bus_and_by_car() -> None:
    """Walkers to learn from, and among those who are asked about a drive of 25 km."""
    people = traces(Path(GEOLIFE), ("tracker", "t", "Y", "X"), ";")
    judged = judge(predictions_of(trips_of(people)))
    assert judged.error_min <= judged.straight_error_min * 0.52
    assert judged.coverage >= 0.7
