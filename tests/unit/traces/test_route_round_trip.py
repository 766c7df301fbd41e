"""What an export writes is what `replay` reads, field by field, in every format."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.ids import ID_PATTERN
from deploy.tools.trace.fix import OPTIONAL
from deploy.tools.trace.read import ReadOptions, parse_trace
from ingest.resources.route.format import FORMATS
from ingest.resources.route.page import COLUMNS, PageFacts

START = datetime(2026, 1, 1, tzinfo=UTC)
ODD = st.sampled_from([0.0, -0.0, 1e-9, 5e-324, 1e300, 0.1 + 0.2])
NOT_NEGATIVE = st.floats(0, 1e12) | ODD
LATITUDES = st.floats(-90, 90) | st.sampled_from([90.0, -90.0, 0.0, -0.0, 1e-9])
LONGITUDES = st.floats(-180, 180) | st.sampled_from(
    [180.0, -180.0, 179.9999999, -179.9999999, -0.0, 1e-9]
)
ROWS = st.fixed_dictionaries(
    {
        "latitude": LATITUDES,
        "longitude": LONGITUDES,
        "speed": st.none() | NOT_NEGATIVE,
        "heading": st.none() | st.floats(0, 360, exclude_max=True),
        "accuracy": st.none() | NOT_NEGATIVE,
        "altitude": st.none() | st.floats(-500, 9000) | ODD,
        "battery": st.none() | st.floats(0, 100),
        "order_id": st.none() | st.from_regex(ID_PATTERN, fullmatch=True),
    }
)
# Microseconds after the one before; within the days in which no time is far from the others.
STEPS = st.integers(1, 10**12)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60)
@given(st.lists(st.tuples(ROWS, STEPS), min_size=1, max_size=6), st.integers(1, 6))
def test_every_export_is_read_back(form: str, steps: list[Any], pieces: int) -> None:
    rows, when = [], START
    for values, step_us in steps:
        when += timedelta(microseconds=step_us)
        rows.append({**values, "recorded_at": when, "received_at": when + timedelta(seconds=1)})
    writer = FORMATS[form][1]("d:1")
    for first in range(0, len(rows), pieces):
        writer.add(rows[first : first + pieces])
    body = writer.finish(PageFacts("d:1", START, when, len(rows), None))

    trace = parse_trace(body, "a file", ReadOptions())
    assert (trace.refused, trace.skipped, trace.notes) == ((), (), ())
    assert [fix.recorded_at for fix in trace.fixes] == [row["recorded_at"] for row in rows]
    for fix, row in zip(trace.fixes, rows, strict=True):
        assert fix.values["driver_id"] == "d:1"
        assert fix.values["latitude"] == row["latitude"]
        # The antimeridian has two names; GPX knows one, GeoJSON takes the one of the line's side.
        assert _is_same_longitude(fix.values["longitude"], row["longitude"])
        for name in OPTIONAL:
            assert fix.values.get(name) == row[name], name


def _is_same_longitude(a: Any, b: float) -> bool:
    return bool(a == b or abs(a) == abs(b) == 180)


def test_no_column_is_forgotten() -> None:
    """A new column of a fix must come back too."""
    assert {*OPTIONAL, "recorded_at", "latitude", "longitude", "received_at"} == set(COLUMNS)


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_route_holds_no_fixes(form: str) -> None:
    body = FORMATS[form][1]("d:1").finish(PageFacts("d:1", START, START, 0, None))
    assert parse_trace(body, "a file", ReadOptions()).rows() == 0
