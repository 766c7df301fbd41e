"""Recorded traces: columns, times, GPX, and what is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.tools.replay import bodies, end_of
from deploy.tools.trace import Trace, parse_columns, parse_csv, parse_gpx, parse_time, read_trace

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "liverpool_bus_route14.csv"

GPX = b"""<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>
<trkpt lat="53.4" lon="-2.9"><ele>12.5</ele><time>2026-01-01T10:00:00Z</time></trkpt>
<trkpt lat="53.5" lon="-2.8"><time>2026-01-01T10:00:05Z</time>
<extensions><speed>10</speed><course>90</course></extensions></trkpt>
<trkpt lat="53.5" lon="-2.8"></trkpt>
</trkseg></trk></gpx>"""


def trace_of(*stamps: str) -> Trace:
    rows = "".join(f"a,{stamp},1,2\n" for stamp in stamps)
    return parse_csv(f"driver_id,recorded_at,latitude,longitude\n{rows}", {})


def test_the_example_is_read_without_a_map() -> None:
    trace = read_trace(EXAMPLE)
    assert len(trace.fixes) == 1533
    assert trace.refused == ()
    assert len({fix.values["driver_id"] for fix in trace.fixes}) == 8
    assert len({fix.values["order_id"] for fix in trace.fixes}) == 16
    # A bearing that is missing is left out, not taken as north.
    assert "heading" not in trace.fixes[0].values
    assert trace.fixes[1].values["heading"] == 53
    late = [a for a, b in zip(trace.fixes, trace.fixes[1:], strict=False)
            if b.recorded_at < a.recorded_at]  # fmt: skip
    assert len(late) == 7


def test_another_delimiter_and_a_map_of_columns() -> None:
    text = "X;Y;tracker;t\n116.39;39.89;19;2008-12-11 04:42:14+00\n"
    trace = parse_csv(text, parse_columns("longitude=X,latitude=Y,driver_id=tracker,recorded_at=t"))
    (fix,) = trace.fixes
    assert fix.values == {"driver_id": "19", "latitude": 39.89, "longitude": 116.39}
    assert fix.recorded_at == datetime(2008, 12, 11, 4, 42, 14, tzinfo=UTC)


@pytest.mark.parametrize("columns", ["nonsense", "altitude", "speed=", "colour=X", "=X"])
def test_a_map_that_is_none_is_refused(columns: str) -> None:
    with pytest.raises(ConfigError, match="--columns"):
        parse_columns(columns)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ConfigError, match="no column for longitude"):
        parse_csv("driver_id,time,lat\n", {})
    with pytest.raises(ConfigError, match="no column for speed"):
        parse_csv("driver_id,time,lat,lon\n", {"speed": "v"})


def test_rows_that_are_no_fix_are_counted_with_their_number() -> None:
    text = (
        "driver_id,time,lat,lon\na,2026-01-01,1,2\n,2026-01-01,1,2\na,soon,1,2\na,2026-01-01,x,2\n"
    )
    trace = parse_csv(text, {})
    assert len(trace.fixes) == 1
    assert trace.refused == (
        "row 2: driver_id is missing",
        "row 3: recorded_at: 'soon' is not a time",
        "row 4: latitude: 'x' is not a number",
    )


@pytest.mark.parametrize(
    "text", ["2026-01-01 10:00:00", "2026-01-01T12:00:00+02:00", "1767261600", "1767261600000"]
)
def test_times(text: str) -> None:
    assert parse_time(text) == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e300", "tomorrow"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


def test_gpx() -> None:
    trace = parse_gpx(GPX, "my ride")
    first, second = trace.fixes
    assert first.values == {
        "driver_id": "my-ride", "latitude": 53.4, "longitude": -2.9, "altitude": 12.5
    }  # fmt: skip
    assert second.values["heading"] == 90
    assert second.values["speed"] == pytest.approx(36.0)
    assert trace.refused == ("row 3: recorded_at is missing",)


@pytest.mark.parametrize(
    "raw",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><gpx>&a;</gpx>',
        '<?xml version="1.0" encoding="utf-16"?><gpx/>'.encode("utf-16"),
        b"<gpx>",
        b"",
    ],
)
def test_gpx_with_entities_or_broken_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="GPX"):
        parse_gpx(raw, "x")


def test_at_full_speed_the_trace_ends_now_and_keeps_its_spacing() -> None:
    trace = trace_of("2026-01-01T10:00:10", "2026-01-01T10:00:00", "2026-01-01T10:00:30")
    now = datetime(2026, 6, 1, tzinfo=UTC)
    shift = end_of(now, trace.duration_s(), 0) - trace.newest()
    sent = [parse_time(str(fix.body(shift)["recorded_at"])) for fix in trace.fixes]
    assert sent == [now - timedelta(seconds=s) for s in (20, 30, 0)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 60.0])
def test_at_a_pace_no_fix_is_dated_after_its_sending(speed: float) -> None:
    trace = trace_of("2026-01-01T10:00:10", "2026-01-01T10:00:00", "2026-01-01T10:01:00")
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    shift = end_of(begin, trace.duration_s(), speed) - trace.newest()
    order = []
    for due_s, fixes in bodies(trace, speed):
        order += fixes
        for fix in fixes:
            assert fix.recorded_at + shift <= begin + timedelta(seconds=due_s, microseconds=1)
    assert order == list(trace.fixes)


def test_a_late_row_goes_with_the_row_before_it() -> None:
    trace = trace_of("2026-01-01T10:00:00", "2026-01-01T10:00:20", "2026-01-01T10:00:10")
    assert [(due, len(fixes)) for due, fixes in bodies(trace, 2.0)] == [(0.0, 1), (10.0, 2)]
