"""Units, times and clocks of the apps, and that no value an app may send does harm."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.event import LocationUpdate, TimeLimits, recorded_time
from common.ids import is_id
from ingest.apps.clock import leave_to_server, time_reason
from ingest.apps.reason import Reason
from ingest.apps.translation import Reading, Translation
from ingest.apps.values import (
    KMH_PER_KNOT,
    KMH_PER_MPS,
    fraction,
    knots,
    metres_per_second,
    moment,
    number,
    optional_id,
)

SPEEDS = st.floats(0, 1000)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@given(SPEEDS)
def test_speeds_survive_the_way_there_and_back(speed: float) -> None:
    assert math.isclose((knots(speed) or 0) / KMH_PER_KNOT, speed, abs_tol=1e-6)
    assert math.isclose((metres_per_second(speed) or 0) / KMH_PER_MPS, speed, abs_tol=1e-6)


@given(st.floats(0, 1))
def test_a_battery_level_is_a_percentage(level: float) -> None:
    percent = fraction(level)
    assert percent is not None
    assert 0 <= percent <= 100
    assert math.isclose(percent / 100, level, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (knots, 10, 18.52), (knots, "0.5", 0.926), (metres_per_second, 10, 36.0),
        (metres_per_second, -1, None), (knots, "-1", None), (fraction, 0.57, 57.0),
        (fraction, -1, None), (number, "1_000", None), (number, "nan", None),
        (number, "\u0661", None), (number, True, None), (number, 10**400, None),
        (number, " 5 ", 5.0),
        (number, "53,07", 53.07), (number, "1,2,3", None), (number, "1.2,3", None),
        (number, math.inf, None), (metres_per_second, 1e308, None),
    ],
)  # fmt: skip
def test_conversions(convert, value, expected) -> None:
    assert convert(value) == expected


WHEN = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1767261600, 1767261600), ("1767261600", 1767261600), ("1767261600.5", 1767261600.5),
        ("1767261600000", 1767261600000), ("2026-01-01T10:00:00Z", WHEN),
        ("2026-01-01T11:00:00+01:00", WHEN),
        ("2026-01-01t10:00:00z", WHEN), ("2026-01-01T11:00:00 01:00", WHEN),
        ("2026-01-01T10:00:00+0000", WHEN), ("2026-01-01 10:00:00", WHEN),
        ("2026-01-01T10:00:00.000", WHEN), (None, None), ("", None),
    ],
)  # fmt: skip
def test_times(value, expected) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("value", ["soon", True, [], {}, "2026-13-01", "x" * 100, "NaN"])
def test_what_is_no_time_is_refused(value) -> None:
    with pytest.raises(ValueError, match="no time"):
        moment(value)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.booleans())
def test_a_reading_is_an_update_in_range_or_has_a_reason(
    position, time, value, order, server_time
) -> None:
    reading = Reading(
        "d", latitude=position, longitude=position, time=time, heading=value, accuracy=value,
        altitude=value, battery=fraction(value), speed=knots(value), order_id=order,
    )  # fmt: skip
    found = Translation()
    found.add(reading, server_time=server_time)
    assert len(found.fixes) + found.refused == 1
    for _, update in found.fixes:
        assert -90 <= update.latitude <= 90
        for known in (update.speed, update.heading, update.accuracy, update.battery):
            assert known is None or known >= 0
        assert update.altitude is None or math.isfinite(update.altitude)
        assert update.order_id is None or is_id(update.order_id)


@given(ANYTHING)
def test_an_order_is_an_id_none_or_refused(value) -> None:
    try:
        found = optional_id(value)
    except ValueError:
        assert value is not None
    else:
        assert found is None or is_id(found)


@given(st.one_of(ANYTHING, st.datetimes().map(str), st.datetimes().map(datetime.isoformat)))
def test_any_time_is_in_range_or_refused(value) -> None:
    try:
        when = recorded_time(moment(value), WHEN, TimeLimits(86_400, 30 * 86_400))
    except (ValueError, InvalidUpdate):
        return
    assert abs((when - WHEN).days) <= 30


LIMITS = TimeLimits(86_400, 30 * 86_400)
WEEK_S = 7 * 86_400
STAMP = int(WHEN.timestamp())


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        (STAMP - 31 * 86_400, Reason.TOO_OLD), (STAMP + 2 * 86_400, Reason.IN_THE_FUTURE),
        (STAMP - 1024 * WEEK_S, Reason.CLOCK_WEEKS_OFF),
        # A queue of a fortnight, by a clock that is off.
        (STAMP - 1026 * WEEK_S, Reason.CLOCK_WEEKS_OFF),
        (STAMP + 1024 * WEEK_S, Reason.CLOCK_WEEKS_OFF),
        (STAMP - 1000 * WEEK_S, Reason.TOO_OLD), (0, Reason.CLOCK_NOT_SET),
        (86_400, Reason.CLOCK_NOT_SET), (datetime(1980, 1, 7, tzinfo=UTC), Reason.CLOCK_NOT_SET),
        (-1, Reason.TOO_OLD), (10**30, Reason.NO_TIME),
    ],
)  # fmt: skip
def test_why_a_time_is_not_allowed(stamp, reason: Reason) -> None:
    assert time_reason(stamp, WHEN, LIMITS) is reason
    update = LocationUpdate(latitude=1, longitude=2, recorded_at=stamp)
    assert leave_to_server(update, WHEN, LIMITS)
    assert update.recorded_at is None


@pytest.mark.parametrize("stamp", [None, STAMP, STAMP - 29 * 86_400, STAMP + 3600])
def test_a_time_that_can_be_right_is_the_devices(stamp) -> None:
    update = LocationUpdate(latitude=1, longitude=2, recorded_at=stamp)
    assert not leave_to_server(update, WHEN, LIMITS)
    assert update.recorded_at == stamp
