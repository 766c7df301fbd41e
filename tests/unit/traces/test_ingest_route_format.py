"""Routes in four formats: what the contract and the formats' own standards say of them."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.resources.route.format import CSV_COLUMNS, FORMATS
from ingest.resources.route.geojson import LISTED
from ingest.resources.route.gpx import GAP_S, NAMESPACE
from ingest.resources.route.page import COLUMNS, PageFacts

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 2, tzinfo=UTC)
GPX = "{http://www.topografix.com/GPX/1/1}"
OURS = f"{{{NAMESPACE}}}"


def row(**values: Any) -> dict[str, Any]:
    plain = {"latitude": 1.5, "longitude": -2.5, "recorded_at": START, "received_at": END}
    return {**dict.fromkeys(COLUMNS), **plain, **values}


def written(form: str, *rows: Any, cursor: str | None = None, pieces: int = 2) -> bytes:
    """The rows as a page, handed over a few at a time."""
    writer = FORMATS[form][1]("d:1")
    for first in range(0, len(rows), pieces):
        writer.add(rows[first : first + pieces])
    return writer.finish(PageFacts("d:1", START, END, len(rows), cursor))


def feature(*rows: Any, pieces: int = 2) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(written("geojson", *rows, pieces=pieces))
    return read


def test_json_is_the_contract() -> None:
    assert json.loads(written("json", row(speed=3.0, order_id="o"), cursor="7")) == {
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


def test_json_of_nothing_is_an_empty_list() -> None:
    assert json.loads(written("json"))["points"] == []


def test_geojson_puts_longitude_first_and_a_time_to_each_position() -> None:
    found = feature(row(altitude=8.0), row(latitude=2.0, altitude=9.0))
    assert found["type"] == "Feature"
    assert found["geometry"] == {
        "type": "LineString", "coordinates": [[-2.5, 1.5, 8.0], [-2.5, 2.0, 9.0]],
    }  # fmt: skip
    assert found["properties"]["coordTimes"] == ["2026-01-01T00:00:00Z"] * 2


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_an_altitude_that_is_missing_takes_the_third_dimension_from_all(pieces: int) -> None:
    """What broke: shapely and geopandas refuse positions of mixed dimensions."""
    found = feature(row(altitude=5.0), row(altitude=6.0), row(), pieces=pieces)
    assert found["geometry"]["coordinates"] == [[-2.5, 1.5]] * 3
    assert found["properties"]["altitude"] == [5.0, 6.0, None]


def test_geojson_has_no_line_of_fewer_than_two_positions() -> None:
    assert feature()["geometry"] is None
    assert feature(row())["geometry"] == {"type": "Point", "coordinates": [-2.5, 1.5]}


def path(*longitudes: float) -> list[dict[str, Any]]:
    return [
        row(longitude=x, latitude=float(n), recorded_at=START + timedelta(seconds=n), altitude=10.0)
        for n, x in enumerate(longitudes)
    ]


@pytest.mark.parametrize(
    ("longitudes", "lines"),
    [
        ((179.0, -179.0), [[[179, 0], [180, 0.5]], [[-180, 0.5], [-179, 1]]]),
        ((-179.75, 179.25), [[[-179.75, 0], [-180, 0.25]], [[180, 0.25], [179.25, 1]]]),
        (
            (179.0, -179.0, 179.0),
            [
                [[179, 0], [180, 0.5]],
                [[-180, 0.5], [-179, 1], [-180, 1.5]],
                [[180, 1.5], [179, 2]],
            ],
        ),
        # On the edge is on both sides: there is nothing to cut.
        ((179.0, 180.0), [[[179, 0], [180, 1]]]),
        ((179.0, -180.0), [[[179, 0], [180, 1]]]),
        ((180.0, -179.0), [[[-180, 0], [-179, 1]]]),
        ((180.0, -180.0, 180.0), [[[180, 0], [180, 1], [180, 2]]]),
        ((179.0, -180.0, -179.0), [[[179, 0], [180, 1]], [[-180, 1], [-179, 2]]]),
        # Half the world and no more: no way is shorter.
        ((90.0, -90.0), [[[90, 0], [-90, 1]]]),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_a_line_is_cut_at_the_antimeridian(
    longitudes: tuple[float, ...], lines: list[Any], pieces: int
) -> None:
    """What broke: a ferry from 179.9° to -179.9° was drawn around the world."""
    rows = path(*longitudes)
    found = feature(*rows, pieces=pieces)
    kind = "LineString" if len(lines) == 1 else "MultiLineString"
    tall = [[[*position, 10.0] for position in line] for line in lines]
    assert found["geometry"] == {
        "type": kind, "coordinates": tall[0] if len(lines) == 1 else tall,
    }  # fmt: skip
    # A position that a cut added was never received; the others are the fixes, in their order.
    received, times = found["properties"]["received_at"], found["properties"]["coordTimes"]
    if len(lines) > 1:
        assert [len(part) for part in times] == [len(line) for line in lines]
        received, times = list(chain(*received)), list(chain(*times))
    fixes = [when for when, fix in zip(times, received, strict=True) if fix is not None]
    assert fixes == [f"2026-01-01T00:00:{n:02}Z" for n in range(len(rows))]
    moments = [datetime.fromisoformat(when) for when in times]
    assert moments == sorted(moments)


LONGITUDE = st.floats(-180, 180) | st.sampled_from([-180.0, 180.0, 179.9999999, -179.9999999])


@given(st.lists(LONGITUDE, max_size=8), st.integers(1, 8))
def test_no_line_is_shorter_than_two_or_crosses_the_world(xs: list[float], pieces: int) -> None:
    found = feature(*path(*xs), pieces=pieces)
    geometry = found["geometry"] or {"type": "MultiLineString", "coordinates": []}
    lines = geometry["coordinates"]
    if geometry["type"] != "MultiLineString":
        lines = [lines] if geometry["type"] == "LineString" else []
    for line in lines:
        assert len(line) >= 2
        for a, b in pairwise(line):
            assert abs(a[0] - b[0]) <= 180
    received = found["properties"]["received_at"]
    if geometry["type"] == "MultiLineString":
        received = list(chain(*received))
    assert sum(when is not None for when in received) == len(xs)


@given(st.lists(st.sampled_from(LISTED), unique=True))
def test_geojson_lists_the_columns_that_have_values(columns: list[str]) -> None:
    values = {c: "o" if c == "order_id" else 1.0 for c in columns if c != "received_at"}
    found = feature(row(), row(**values))
    listed = set(found["properties"]) & set(LISTED)
    assert listed == {*values, "received_at"}
    for column, value in values.items():
        assert found["properties"][column] == [None, value]


FINE = st.floats(-90, 90)


@given(st.lists(st.tuples(FINE, FINE, st.none() | st.floats(-500, 9000)), max_size=5))
def test_gpx_is_exact_without_an_exponent(
    points: list[tuple[float, float, float | None]],
) -> None:
    rows = [row(latitude=y, longitude=x, altitude=z) for y, x, z in points]
    found = list(ET.fromstring(written("gpx", *rows)).iter(f"{GPX}trkpt"))
    assert [(float(p.attrib["lat"]), float(p.attrib["lon"])) for p in found] == [
        (y, x) for y, x, _ in points
    ]
    # xsd:decimal has no exponent.
    assert not any("e" in p.attrib["lat"] + p.attrib["lon"] for p in found)


def test_gpx_carries_the_whole_fix_in_a_namespace_of_ours() -> None:
    fix = row(speed=36.0, heading=90.0, accuracy=1e-9, battery=50.0, order_id="o", altitude=-0.5)
    (point,) = ET.fromstring(written("gpx", fix)).iter(f"{GPX}trkpt")
    # The schema has this order, and longitudes below 180.
    assert [element.tag.removeprefix(GPX) for element in point] == ["ele", "time", "extensions"]
    extensions = point.find(f"{GPX}extensions")
    assert extensions is not None
    assert {e.tag.removeprefix(OURS): e.text for e in extensions} == {
        "speed_kmh": "36.0", "heading": "90.0", "accuracy": "1e-09", "battery": "50.0",
        "order_id": "o",
    }  # fmt: skip
    assert 'lon="-180.0"' in written("gpx", row(longitude=180.0)).decode()


@given(st.text(max_size=20))
def test_gpx_is_well_formed_whatever_an_order_is_called(order_id: str) -> None:
    root = ET.fromstring(written("gpx", row(order_id=order_id)))
    assert root.find(f".//{OURS}order_id") is not None


@pytest.mark.parametrize("pieces", [1, 3])
def test_gpx_begins_a_segment_after_a_gap(pieces: int) -> None:
    """What broke: one segment drew a straight line over a night."""
    gaps = [0, 10, 10 + GAP_S, 11 + 2 * GAP_S, 12 + 2 * GAP_S]
    rows = [row(recorded_at=START + timedelta(seconds=s)) for s in gaps]
    root = ET.fromstring(written("gpx", *rows, pieces=pieces))
    segments = [len(segment) for segment in root.iter(f"{GPX}trkseg")]
    assert segments == [3, 2]


def test_gpx_says_that_it_is_a_page_of_several() -> None:
    more = ET.fromstring(written("gpx", row(), cursor="7")).findtext(f"{GPX}metadata/{GPX}desc")
    assert more == (
        "Fixes of d:1 from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z: 1, more follow (cursor 7)"
    )
    last = ET.fromstring(written("gpx", row())).findtext(f"{GPX}metadata/{GPX}desc") or ""
    assert "more" not in last


def test_csv_can_be_read_back() -> None:
    text = written("csv", row(speed=1.25), row(), row(order_id='a,"b\r\n')).decode()
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [r["speed"] for r in found] == ["1.25", "", ""]
    assert found[0]["recorded_at"] == "2026-01-01T00:00:00Z"
    assert found[2]["order_id"] == 'a,"b\r\n'
    assert {r["driver_id"] for r in found} == {"d:1"}
    assert tuple(found[0]) == CSV_COLUMNS == (*COLUMNS, "driver_id")
