"""Recorded traces: how a row is judged, which times cannot be right, and when each row is sent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.tools.trace.number import number_of
from deploy.tools.trace.read import ReadOptions, id_of, parse_trace, read_trace
from deploy.tools.trace.times import parse_time, span
from deploy.tools.trace.trace import Trace
from deploy.tools.traffic.replay import bodies, dates

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "liverpool_bus_route14.csv"
YEAR_S = 31_557_600


def read(text: str, **options: str) -> Trace:
    return parse_trace(text.encode(), "my file", ReadOptions(**options))


def trace_of(*stamps: str) -> Trace:
    rows = "".join(f"a,{stamp},1,2\n" for stamp in stamps)
    return read(f"driver_id,recorded_at,latitude,longitude\n{rows}")


def test_the_example_is_read_without_a_map() -> None:
    trace = read_trace(EXAMPLE)
    assert len(trace.fixes) == 1533
    assert trace.refused == trace.skipped == trace.notes == ()
    assert len({fix.values["driver_id"] for fix in trace.fixes}) == 8
    assert len({fix.values["order_id"] for fix in trace.fixes}) == 16
    # A bearing that is missing is left out, not taken as north.
    assert "heading" not in trace.fixes[0].values
    assert trace.fixes[1].values["heading"] == 53
    late = [a for a, b in zip(trace.fixes, trace.fixes[1:], strict=False)
            if b.recorded_at < a.recorded_at]  # fmt: skip
    assert len(late) == 7


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",2026-01-01,1,2", "driver_id is missing"),
        ("a,,1,2", "recorded_at is missing"),
        ("a,2026-01-01,,2", "latitude is missing"),
        ("a,soon,1,2", "recorded_at: 'soon' is not a time"),
        ("a,0000-03-13T09:11:26Z,1,2", "is not a time"),
        ("a,2026-01-01,x,2", "latitude: 'x' is not a number"),
        ("a,2026-01-01,nan,2", "latitude: 'nan' is not a number"),
        ("a,2026-01-01,1,-inf", "longitude: '-inf' is not a number"),
        ("a,2026-01-01,1_0,2", "latitude: '1_0' is not a number"),
        ("a,2026-01-01,1e999,2", "latitude: '1e999' is not a number"),
        ("a,2026-01-01,100,180", "latitude: '100' is out of range"),
        ("B#7,2026-01-01,1,2", "driver_id: 'B#7' is not"),
        ("..,2026-01-01,1", "longitude is missing"),
    ],
)
def test_a_row_that_is_no_fix_is_named_and_others_stay(row: str, why: str) -> None:
    """What broke: one NaN made its whole body of 500 no JSON, and the replay stopped there."""
    good = "a,2026-01-01,1,2"
    trace = read(f"driver_id,time,lat,lon\n{good}\n{row}\n{good}\n")
    assert [fix.row for fix in trace.fixes] == [1, 3]
    (reason,) = trace.refused
    assert reason.startswith("row 2: ")
    assert why in reason
    assert trace.rows() == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((f, v) for f in ("speed", "heading", "accuracy", "battery") for v in
          ("nan", "inf", "-1", "n/a", "1e999")),
        ("heading", "361"),
        ("battery", "101"),
        ("altitude", "NaN"),
        ("order_id", "#A12"),
    ],
)  # fmt: skip
def test_any_other_value_is_never_worth_the_fix(field: str, value: str) -> None:
    """What broke: rows with -1 for unknown were refused, one and all."""
    trace = read(f"driver_id,time,lat,lon,{field}\na,2026-01-01,1,2,{value}\na,2026-01-02,1,2,\n")
    assert [set(fix.values) for fix in trace.fixes] == [{"driver_id", "latitude", "longitude"}] * 2
    assert (trace.refused, trace.notes) == ((), (f"{field}: unknown in 1 of 2 rows ({value!r})",))


def test_below_the_sea_is_a_height() -> None:
    trace = read("driver_id,time,lat,lon,ele\na,2026-01-01,1,2,-1\n")
    assert trace.fixes[0].values["altitude"] == -1


@pytest.mark.parametrize(
    ("text", "number"),
    [("27.5", 27.5), (" -1,25 ", -1.25), (".5", 0.5), ("+1e-7", 1e-7), (3, 3.0), ("5.", 5.0)],
)
def test_numbers(text: object, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "nan", "inf", "1_0", "\u0661", "1.2.3", "1,2,3", "0x1", "1e", True, None, 10**400],
)
def test_what_is_no_number(text: object) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01 10:00:00", "2026-01-01T12:00:00+02:00", "1767261600", "1767261600000",
        "2026-01-01T10:00:00z", 1767261600, 1767261600.0, "\n 2026-01-01T10:00:00Z\n",
    ],
)  # fmt: skip
def test_times(text: object) -> None:
    assert parse_time(text) == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e300", "tomorrow", "2026-02-30", None])
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    "wrong", ["2043-10-14T14:13:54Z", "2004-07-14T14:13:54Z", "1970-01-01", "2024-06-01"]
)
@pytest.mark.parametrize("place", range(5))
def test_one_wrong_date_is_skipped_by_name(wrong: str, place: int) -> None:
    """What broke: a point of a GPS week rollover made the replay wait for decades, or had all
    good rows refused as too old.
    """
    stamps = [f"2024-02-28T14:13:5{n}Z" for n in range(5)]
    stamps[place] = wrong
    trace = trace_of(*stamps)
    assert len(trace.fixes) == 4
    assert trace.duration_s() < 5
    (reason,) = trace.skipped
    assert reason.startswith(f"row {place + 1}: recorded_at: {wrong[:10]}")
    assert "from the other rows" in reason
    assert trace.rows() == 5


def test_a_trace_of_years_keeps_its_ends() -> None:
    first = datetime(2023, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range(0, 700, 7)]
    trace = trace_of(*(day.isoformat() for day in days), "1970-01-01", "2043-01-01")
    assert len(trace.fixes) == len(days)
    assert len(trace.skipped) == 2


def test_rides_of_one_month_stay_together() -> None:
    rides = [f"2024-02-01T10:00:0{n}Z" for n in range(9)] + ["2024-03-01T10:00:00Z"]
    assert trace_of(*rides).skipped == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (90, "90 s"), (420, "7 min"), (8_400, "2 h"), (200_000, "2 days"),
     (1024 * 7 * 86_400, "20 years")],
)  # fmt: skip
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("name", "driver_id"), [("my ride", "my-ride"), ("..", "trace"), ("", "trace"), ("é", "-")]
)
def test_a_file_names_its_driver(name: str, driver_id: str) -> None:
    assert id_of(name) == driver_id


@pytest.mark.parametrize("options", [{"speed_unit": "warp"}, {"driver": "a b"}])
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="--"):
        ReadOptions(**options)


def test_at_full_speed_the_trace_ends_now_and_keeps_its_spacing() -> None:
    trace = trace_of("2026-01-01T10:00:10", "2026-01-01T10:00:00", "2026-01-01T10:00:30")
    now = datetime(2026, 6, 1, tzinfo=UTC)
    date = dates(trace, 0, now)
    sent = [parse_time(fix.body(date(fix))["recorded_at"]) for fix in trace.fixes]
    assert sent == [now - timedelta(seconds=s) for s in (20, 30, 0)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 60.0])
def test_at_a_pace_a_fix_is_dated_when_it_is_due(speed: float) -> None:
    """What broke: the first fixes of two hours at forty times their pace were dated two hours
    ago, and a driver of two hours ago is on no map.
    """
    trace = trace_of("2026-01-01T10:00:00", "2026-01-01T10:00:20", "2026-01-01T10:01:00")
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    date = dates(trace, speed, begin)
    order = []
    for due_s, fixes in bodies(trace, speed):
        order += fixes
        for fix in fixes:
            assert abs((date(fix) - begin).total_seconds() - due_s) < 1e-5
    assert order == list(trace.fixes)


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_a_late_row_is_dated_before_its_sending(speed: float) -> None:
    trace = trace_of("2026-01-01T10:00:10", "2026-01-01T10:00:00", "2026-01-01T10:01:00")
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    date = dates(trace, speed, begin)
    (due_s, (first, late)), _ = bodies(trace, speed)
    assert date(late) == begin
    assert (date(first) - begin).total_seconds() == pytest.approx(due_s, abs=1e-5)


def test_a_late_row_goes_with_the_row_before_it() -> None:
    trace = trace_of("2026-01-01T10:00:00", "2026-01-01T10:00:20", "2026-01-01T10:00:10")
    assert [(due, len(fixes)) for due, fixes in bodies(trace, 2.0)] == [(0.0, 1), (10.0, 2)]
