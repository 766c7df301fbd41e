"""Which trips are news: each is told once, whatever late fixes make of its ends."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from consumers.insight.trip_news import NEWS_AGE_MAX, EndedTrip, ToldTrip, news_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def trip(started_min: float, ended_min: float, driver: str = "d") -> EndedTrip:
    """A trip from and to minutes before NOW."""
    start, end = (NOW - timedelta(minutes=m) for m in (started_min, ended_min))
    return EndedTrip(driver, start, end, 1000.0, 60.0)


def told(trips: list[EndedTrip], before: dict[str, ToldTrip]) -> list[EndedTrip]:
    return news_of(trips, before, NOW)


def test_each_trip_once_in_order():
    known: dict[str, ToldTrip] = {}
    first, second = trip(90, 60), trip(50, 20)
    assert told([first], known) == [first]
    assert told([first], known) == []
    assert told([first, second], known) == [second]
    assert told([first, second], known) == []
    other = trip(90, 60, "e")
    assert told([other], known) == [other]


def test_the_same_trip_with_other_ends_is_no_news():
    for again in (trip(90, 50), trip(95, 50), trip(80, 50), trip(95, 60), trip(90, 70)):
        known = {"d": ToldTrip(*trip(90, 60)[1:3])}
        assert told([again], known) == []


def test_what_a_late_stop_cut_off_is_another_trip():
    """It was told from 90 to 60; a late stop ends it at 80, and another goes on to 40."""
    known = {"d": ToldTrip(*trip(90, 60)[1:3])}
    first, second = trip(90, 80), trip(70, 40)
    assert told([first, second], known) == [second]


def test_old_trips_are_no_news():
    age = NEWS_AGE_MAX.total_seconds() / 60
    assert told([trip(age + 30, age)], {}) == []
    assert len(told([trip(age + 30, age - 1)], {})) == 1


@given(st.lists(st.tuples(st.integers(2, 60), st.integers(1, 30)), min_size=1, max_size=8))
def test_a_day_told_trip_by_trip_or_at_once_is_the_same(lengths):
    trips, at = [], 700
    for length, pause in lengths:
        trips.append(trip(at, at - length))
        at -= length + pause
    known: dict[str, ToldTrip] = {}
    assert [news for one in trips for news in told([one], known)] == trips
    assert told(trips, {}) == trips
