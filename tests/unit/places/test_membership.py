"""Who is in a fence: each event is explained by the rule, and each time that the rule says so."""

import math
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.event import LocationEvent
from common.fences.driver_pattern import DriverPattern
from common.fences.fence import Fence
from common.fences.schedule_body import ScheduleReader
from common.geo.shape import Shape
from common.geo.sphere import EARTH_RADIUS_M, distance_m
from consumers.places.rules.fence_index import FenceIndex
from consumers.places.rules.membership import NO_VISITS, Visit, end_closed, follow

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOME = (13.4, 52.5)


def seconds(count):
    return timedelta(seconds=count)


def circle(name="home", centre=HOME, radius_m=100.0, **terms):
    shape = Shape(line=(centre,), reach_m=radius_m)
    return Fence(geofence_id=name, name=name, shape=shape, **terms)


def north_of(centre, metres):
    return centre[1] + math.degrees(metres / EARTH_RADIUS_M)


def fix(at_s, away_m=0.0, accuracy=None, driver="d", **more):
    """A fix so many metres north of home."""
    when = START + seconds(at_s)
    return LocationEvent(
        driver_id=driver,
        recorded_at=when,
        received_at=when + seconds(0.2),
        latitude=north_of(HOME, away_m),
        longitude=HOME[0],
        accuracy=accuracy,
        **more,
    )


def told(fixes, *fences, visits=NO_VISITS):
    """What happens on these fixes: (what, fence, second of its fix), and the visits after."""
    index = FenceIndex(fences)
    events = []
    for one in fixes:
        (inside,) = index.inside([one.latitude], [one.longitude])
        visits, happened = follow(visits, one, inside, index, START)
        events += happened
    return events, visits


def words(events):
    return [
        (
            e.type.removeprefix("geofence."),
            None if e.recorded_at is None else (e.recorded_at - START).total_seconds(),
        )
        for e in events
    ]


def test_a_visit_is_told_once_each():
    fixes = [fix(0, 300), fix(10, 90), fix(20, 10), fix(70, 10), fix(80, 10), fix(90, 300)]
    events, visits = told([*fixes, fix(100, 300), fix(110, 300)], circle(dwell_s=60))
    assert words(events) == [("enter", 10), ("dwell", 70), ("exit", 100)]
    enter, dwell, left = events
    assert (dwell.data["duration_s"], left.data["duration_s"]) == (60, 90)
    assert (left.data["reason"], left.data["name"]) == ("left", "home")
    assert (enter.driver_id, enter.geofence_id) == ("d", "home")
    assert visits == {}


@pytest.mark.parametrize(
    ("away_m", "accuracy", "exits"),
    [
        (119, None, False), (121, None, True), (119, 1, False), (121, 19, True),
        (130, 29, True), (130, 31, False), (500, 399, True), (500, 401, False),
    ],
)  # fmt: skip
def test_out_is_beyond_the_margin_with_the_accuracy_circle_clear(away_m, accuracy, exits):
    """Beyond the edge by the larger of 20 m and a fifth of the radius, and by the accuracy."""
    events, _ = told([fix(0), fix(1, away_m, accuracy), fix(2, away_m, accuracy)], circle())
    assert words(events) == [("enter", 0), *([("exit", 2)] if exits else [])]


def test_a_large_circle_has_a_fifth_of_its_radius():
    for away_m, exits in ((1190, False), (1210, True)):
        events, _ = told([fix(0), fix(1, away_m), fix(2, away_m)], circle(radius_m=1000))
        assert len(events) == 1 + exits


def test_a_single_wild_fix_is_no_exit():
    """200 m off and sure of itself: two in a row must agree."""
    fixes = [fix(0), fix(1, 300, 2), fix(2), fix(3, 300, 2), fix(4, 110), fix(5, 300, 2)]
    events, visits = told(fixes, circle())
    assert words(events) == [("enter", 0)]
    assert visits["home"].outside == 1
    events, _ = told([fix(6, 300)], circle(), visits=visits)
    assert words(events) == [("exit", 6)]


def test_no_dwell_on_the_way_out():
    events, _ = told([fix(0), fix(50), fix(61, 300), fix(62, 300)], circle(dwell_s=60))
    assert words(events) == [("enter", 0), ("exit", 62)]


def test_a_clock_ahead_counts_as_of_its_arrival():
    ahead = msgspec.structs.replace(fix(0), recorded_at=START + seconds(5000))
    later = msgspec.structs.replace(fix(61), recorded_at=START + seconds(5061))
    events, visits = told([ahead, later], circle(dwell_s=60))
    assert words(events) == [("enter", 5000), ("dwell", 5061)]
    assert visits["home"].entered_at == START + seconds(0.2)


def test_out_of_one_comes_before_into_another():
    other = circle("other", centre=(HOME[0], north_of(HOME, 400)))
    events, _ = told([fix(0), fix(1, 200), fix(2, 390)], other, circle())
    assert [(e.type, e.geofence_id) for e in events] == [
        ("geofence.enter", "home"), ("geofence.exit", "home"), ("geofence.enter", "other"),
    ]  # fmt: skip


def test_whom_a_fence_is_for():
    fence = circle(drivers=DriverPattern.of(["van-*", "bike-7"]))
    for driver, enters in (("van-1", 1), ("van", 0), ("bike-7", 1), ("bike-77", 0)):
        assert len(told([fix(0, driver=driver)], fence)[0]) == enters
    assert len(told([fix(0)], circle(drivers=DriverPattern.of(["*"])))[0]) == 1


CLOSED = {
    "deleted": None,
    "off": {"active": False},
    "expired": {"expires_at": START + seconds(5)},
    "drivers": {"drivers": DriverPattern.of(["x"])},
    "schedule": {"schedule": ScheduleReader().read({"from": "07:00", "to": "08:00"})},
}


@pytest.mark.parametrize("reason", CLOSED)
@pytest.mark.parametrize("by_fix", [True, False])
def test_a_closed_fence_ends_its_visits(reason, by_fix):
    _, visits = told([fix(0)], circle())
    terms = CLOSED[reason]
    index = FenceIndex([] if terms is None else [circle(**terms)])
    if by_fix:
        after, events = follow(visits, fix(5), [], index, START + seconds(5))
    else:
        after, events = end_closed("d", visits, index, START + seconds(5))
    assert after == {}
    (left,) = events
    assert (left.type, left.recorded_at, left.data["reason"]) == ("geofence.exit", None, reason)
    assert left.data["duration_s"] == 5
    # Whoever finds it out, by a fix or by the clock, makes the same event.
    _, (other,) = end_closed("d", visits, FenceIndex(), START + seconds(7))
    assert other.event_id == left.event_id
    # Another visit is another event.
    _, again = told([fix(1)], circle())
    _, (another,) = end_closed("d", again, FenceIndex(), START + seconds(7))
    assert another.event_id != left.event_id


def test_what_is_open_stays():
    _, visits = told([fix(0)], circle())
    after, events = end_closed("d", visits, FenceIndex([circle()]), START + seconds(9))
    assert after is visits
    assert events == []


def test_nothing_changed_is_the_same_object():
    _, visits = told([fix(0)], circle())
    events, after = told([fix(1, 50), fix(2, 110)], circle(), visits=visits)
    assert after is visits
    assert events == []


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-03-02T07:59", True), ("2026-03-02T08:00", False), ("2026-03-06T20:59", False),
        ("2026-03-06T21:00", True), ("2026-03-07T04:59", True), ("2026-03-07T05:00", False),
        ("2026-03-08T04:00", False), ("2026-03-29T00:30", True), ("2026-10-25T00:30", True),
    ],
)  # fmt: skip
def test_a_schedule_goes_by_the_clock_on_the_wall(when, is_open):
    reader = ScheduleReader()
    schedule = reader.read(
        {
            "tz": "Europe/Berlin",
            "windows": [
                {"days": ["mon"], "from": "08:00", "to": "09:00"},
                {"days": ["fri"], "from": "22:00", "to": "06:00"},
                # Both clocks' changes are in it: at 02:00 and at 03:00.
                {"days": ["sun"], "from": "01:00", "to": "03:30"},
            ],
        }
    )
    assert reader.faults == []
    assert schedule.open_at(datetime.fromisoformat(f"{when}:00Z")) == is_open


def oracle(fixes, fence):
    """The contract, word by word, over one driver's history; the distance is the formula's."""
    events, inside_since, dwelt = [], None, False
    clear = 0
    for one in fixes:
        away_m = distance_m(*HOME[::-1], one.latitude, one.longitude) - fence.shape.reach_m
        at = (one.recorded_at - START).total_seconds()
        if inside_since is None:
            if away_m <= 0:
                events.append(("enter", at))
                inside_since, dwelt, clear = at, False, 0
            continue
        beyond = away_m >= max(20, 0.2 * fence.shape.reach_m) and away_m > (one.accuracy or 0)
        clear = clear + 1 if beyond else 0
        if clear == 2:
            events.append(("exit", at))
            inside_since = None
        elif clear or dwelt or not fence.dwell_s:
            continue
        elif round(at - inside_since, 6) >= fence.dwell_s:
            events.append(("dwell", at))
            dwelt = True
    return events


@st.composite
def walks(draw):
    """Fixes around a fence's edge: loitering, passing, jumping, at uneven times."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    at, away = 0.0, rng.uniform(-300, 300)
    fixes = []
    for _ in range(draw(st.integers(1, 80))):
        at += rng.choice([0.001, 1, 5, 20, 61, 400])
        away += rng.gauss(0, rng.choice([2, 30, 200]))
        away = max(-600, min(600, away))
        fixes.append(fix(at, away, rng.choice([None, 0.0, 5.0, 40.0, 150.0])))
    return fixes


@settings(max_examples=200, deadline=None)
@given(walks(), st.sampled_from([15.0, 100.0, 250.0]), st.sampled_from([None, 1.0, 60.0]))
def test_every_event_is_explained(fixes, radius_m, dwell_s):
    """Equal to the oracle, whatever other fences are about; no identity comes twice."""
    fence = circle(radius_m=radius_m, dwell_s=dwell_s)
    others = [circle(f"o{n}", (HOME[0], north_of(HOME, n * 90)), 80.0) for n in range(-3, 4)]
    events, visits = told(fixes, fence, *others)
    assert words([e for e in events if e.geofence_id == "home"]) == oracle(fixes, fence)
    assert len({e.event_id for e in events}) == len(events)
    # In two halves, with the visits kept as rows in between, it is the same.
    half = len(fixes) // 2
    first, kept = told(fixes[:half], fence, *others)
    rows = msgspec.json.encode(dict(kept))
    second, after = told(
        fixes[half:], fence, *others, visits=msgspec.json.decode(rows, type=dict[str, Visit])
    )
    assert [e.event_id for e in (*first, *second)] == [e.event_id for e in events]
    assert after == visits
