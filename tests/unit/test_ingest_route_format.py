import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ingest.resources.route_format import COLUMNS, Page, as_csv, as_geojson, as_gpx, as_json

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 2, tzinfo=UTC)
GPX = "{http://www.topografix.com/GPX/1/1}"


def row(**values: Any) -> dict[str, Any]:
    given = {"latitude": 1.5, "longitude": -2.5, "recorded_at": START, "received_at": END}
    return {**dict.fromkeys(COLUMNS), **given, **values}


def page(*rows: Any, cursor: str | None = None) -> Page:
    return Page("d:1", START, END, rows, cursor)


def test_json_is_the_contract() -> None:
    found = json.loads(as_json(page(row(speed=3.0, order_id="o"), cursor="7")))
    assert found == {
        "driver_id": "d:1",
        "start_time": "2026-01-01T00:00:00Z",
        "end_time": "2026-01-02T00:00:00Z",
        "count": 1,
        "next_cursor": "7",
        "points": [
            {
                "recorded_at": "2026-01-01T00:00:00Z",
                "received_at": "2026-01-02T00:00:00Z",
                "latitude": 1.5,
                "longitude": -2.5,
                "speed": 3.0,
                "heading": None,
                "accuracy": None,
                "order_id": "o",
            }
        ],
    }


def test_geojson_puts_longitude_first_and_a_time_to_each_position() -> None:
    found = json.loads(as_geojson(page(row(), row(latitude=2.0, altitude=9.0))))
    assert found["type"] == "Feature"
    assert found["geometry"] == {
        "type": "LineString", "coordinates": [[-2.5, 1.5], [-2.5, 2.0, 9.0]],
    }  # fmt: skip
    assert found["properties"]["coordTimes"] == ["2026-01-01T00:00:00Z"] * 2


def test_geojson_has_no_line_of_fewer_than_two_positions() -> None:
    assert json.loads(as_geojson(page()))["geometry"] is None
    assert json.loads(as_geojson(page(row())))["geometry"]["type"] == "Point"


FINE = st.floats(-90, 90)


@given(st.lists(st.tuples(FINE, FINE, st.none() | st.floats(-500, 9000)), max_size=5))
def test_gpx_can_be_read_back(points: list[tuple[float, float, float | None]]) -> None:
    rows = [row(latitude=y, longitude=x, altitude=z) for y, x, z in points]
    found = list(ET.fromstring(as_gpx(page(*rows))).iter(f"{GPX}trkpt"))
    assert len(found) == len(points)
    for point, (y, x, _) in zip(found, points, strict=True):
        # xsd:decimal has no exponent.
        assert "e" not in point.attrib["lat"] + point.attrib["lon"]
        assert abs(float(point.attrib["lat"]) - y) < 1e-8
        assert abs(float(point.attrib["lon"]) - x) < 1e-8


def test_csv_can_be_read_back() -> None:
    found = list(csv.DictReader(io.StringIO(as_csv(page(row(speed=1.25), row())).decode())))
    assert [r["speed"] for r in found] == ["1.25", ""]
    assert found[0]["recorded_at"] == "2026-01-01T00:00:00Z"
    assert tuple(found[0]) == COLUMNS
