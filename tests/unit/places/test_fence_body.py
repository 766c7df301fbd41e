"""What a fence may be: every fault is named with its place, and nothing odd gets through."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.fences import limits
from common.fences.body import read_terms
from common.fences.feature import body_of
from common.fences.row import fence_of
from common.fences.schedule_body import ScheduleReader, written

POINT = {"type": "Point", "coordinates": [13.4, 52.5]}
GOOD = {"name": "Depot", "geometry": POINT, "radius_m": 75}
CLOSED = [[0, 0], [1, 0], [1, 1], [0, 0]]
BOW = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
BIG = [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]]
HOLE_OUT = [[5, 5], [6, 5], [6, 6], [5, 5]]
ROUND = [
    [math.cos(n / 5000 * math.pi), math.sin(n / 5000 * math.pi)] for n in range(limits.VERTICES_MAX)
]


def faults(**changes):
    body = {k: v for k, v in {**GOOD, **changes}.items() if v != "absent"}
    try:
        read_terms("f", body)
    except InvalidUpdate as e:
        assert e.status == 422
        return {f.field: f.detail for f in e.faults}
    return {}


def of(kind, coordinates, **more):
    return faults(geometry={"type": kind, "coordinates": coordinates}, **{"radius_m": None, **more})


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "absent"}, "name", "is required"),
        ({"name": ""}, "name", "length >= 1"),
        ({"name": "a\x00b"}, "name", "no control characters"),
        ({"name": " "}, "name", "can be seen"),
        ({"name": "x" * 201}, "name", "<= 200"),
        ({"geometry": "absent"}, "geometry", "is required"),
        ({"geometry": [1, 2]}, "geometry", "Expected object"),
        ({"geometry": {"type": "Circle"}}, "geometry.type", "must be Polygon"),
        ({"geometry": {"type": ["Point"]}}, "geometry.type", "must be Polygon"),
        ({"radius_m": "absent"}, "radius_m", "is required with a Point"),
        ({"radius_m": 0}, "radius_m", ">= 1"),
        ({"radius_m": 100_001}, "radius_m", "<= 100000"),
        ({"radius_m": True}, "radius_m", "Expected float"),
        ({"width_m": 5}, "width_m", "goes with a LineString"),
        ({"geometry": {**POINT, "radius_m": 9}}, "radius_m", "is not what the geometry has"),
        ({"geometry": {**POINT, "radius_m": "9"}}, "geometry.radius_m", "Expected float"),
        ({"drivers": []}, "drivers", "length >= 1"),
        ({"drivers": ["a", 7]}, "drivers[1]", "Expected str"),
        ({"drivers": ["a", "b*c"]}, "drivers[1]", "and a *"),
        ({"drivers": ["a b"]}, "drivers[0]", "and a *"),
        ({"dwell_s": 0}, "dwell_s", ">= 1"),
        ({"dwell": 9}, "dwell", "is dwell_s meant?"),
        ({"active": "yes"}, "active", "Expected bool"),
        ({"expires_at": "2026-01-01T00:00:00"}, "expires_at", "RFC 3339 with an offset"),
        ({"expires_at": "0001-01-01T00:00:00+09:00"}, "expires_at", "from year 2"),
        ({"schedule": {"tz": "Mars/Base"}}, "schedule.tz", "must be a time zone"),
        ({"schedule": {"tz": "../etc/passwd", "from": "08:00"}}, "schedule.tz", "time zone"),
        ({"schedule": {"tz": "Europe", "from": "08:00"}}, "schedule.tz", "time zone"),
        ({"schedule": {}}, "schedule", "must have days, from or to"),
        ({"schedule": {"day": ["mon"], "to": "08:00"}}, "schedule", "has no 'day'"),
        ({"schedule": {"windows": [{"days": ["moon"]}]}}, "schedule.windows[0].days", "mon"),
        ({"schedule": {"windows": [{"to": "8"}]}}, "schedule.windows[0].to", "such as 08:30"),
        ({"schedule": {"windows": [{"from": "24:00"}]}}, "schedule.windows[0].from", "before"),
        ({"schedule": {"windows": []}}, "schedule.windows", "1 to 21"),
    ],
)  # fmt: skip
def test_a_field_at_fault_is_named(changes, field, words):
    found = faults(**changes)
    assert words in found[field]
    assert len(found) == 1 or field == "schedule.tz"


@pytest.mark.parametrize(
    ("kind", "coordinates", "place", "words"),
    [
        ("Point", [52.5, 113.4], "", "the wrong way round"),
        ("Point", [200, 3], "", "must be from -180 to 180"),
        ("Point", [3], "", "must be a position"),
        ("Point", [True, 3], "", "must be numbers"),
        ("Point", ["3", 3], "", "must be numbers"),
        ("Point", [10**400, 3], "", "must be numbers"),
        ("Point", [float("inf"), 3], "", "must be numbers"),
        ("Point", [float("nan"), 3], "", "must be numbers"),
        ("Point", [3, 3, "\x00"], "", "must be numbers"),
        ("Point", [3, 3, 3, 3], "", "must be a position"),
        ("Point", None, "", "must be a position"),
        ("Polygon", None, "", "must be a list"),
        ("Polygon", [], "", "1 or more rings"),
        ("Polygon", [[[0, 0], [1, 0], [1, 1]]], "[0]", "4 or more"),
        ("Polygon", [[[0, 0], [1, 0], [1, 1], [0, 1]]], "[0]", "begins at [0, 0] and ends at"),
        ("Polygon", [[[0, 0]] * 5], "[0]", "encloses nothing"),
        ("Polygon", [[[0, 0], [1, 0], [2, 0], [0, 0]]], "[0]", "crosses itself at longitude 1"),
        ("Polygon", [BOW], "[0]", "crosses itself at longitude 1.000000, latitude 1.000000"),
        ("Polygon", [[[x * 100, y] for x, y in CLOSED], [[13, 99]] * 4], "[1][0]", "wrong way"),
        ("Polygon", [[[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]], BOW], "[1]", "crosses itself"),
        ("Polygon", [CLOSED, HOLE_OUT], "", "a hole outside its outer ring, at longitude 5"),
        ("Polygon", [BIG], "", "covers 18,2"),
        ("Polygon", [[*ROUND, ROUND[0]]], "", "10,001 points, more than 10,000"),
        ("Polygon", [[[179, 0], [-179, 1], [-179, 0], [179, 1], [179, 0]]], "[0]", "180.000000"),
        ("MultiPolygon", [[CLOSED], [BOW]], "[1][0]", "crosses itself"),
        ("MultiPolygon", [CLOSED], "[0][0]", "4 or more"),
        ("LineString", [[1, 2]], "", "2 or more"),
        ("LineString", [[1, 2], [1, 2]], "", "two different positions"),
        ("LineString", [[0, 0], [80, 0]], "", "8,896 km long"),
        ("LineString", [[1, 2], 3], "[1]", "must be a position"),
    ],
)  # fmt: skip
def test_a_geometry_is_refused_with_what_and_where(kind, coordinates, place, words):
    reach = {"Point": {"radius_m": 5}, "LineString": {"width_m": 5}}.get(kind, {})
    found = of(kind, coordinates, **reach)
    assert words in found[f"geometry.coordinates{place}"]
    assert len(found) <= 5


@pytest.mark.parametrize(
    ("kind", "coordinates", "more"),
    [
        ("Polygon", [CLOSED], {}),
        ("Polygon", [CLOSED[::-1]], {}),
        ("Polygon", [[[0, 0], [0, 0], [1, 0, 35.2], [1, 1], [0, 0]]], {}),
        ("Polygon", [ROUND[:-1] + ROUND[:1]], {}),
        ("Polygon", [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]], {}),
        ("MultiPolygon", [[CLOSED], [CLOSED]], {}),
        ("LineString", [[1, 2], [1.1, 2]], {"width_m": 30}),
        ("Point", [180, -90], {"radius_m": 100_000}),
    ],
)  # fmt: skip
def test_what_is_well_formed_is_taken(kind, coordinates, more):
    assert of(kind, coordinates, **more) == {}


def test_a_long_corridor_weighs_its_pieces():
    line = {"type": "LineString", "coordinates": [[0, 50], [20, 50], [20, 51]]}
    terms = read_terms("f", {"name": "a", "geometry": line, "width_m": 9})
    assert 300 < terms.vertices < 3000
    assert read_terms("f", GOOD).vertices == 1


def test_many_faults_of_one_habit_are_not_all_named():
    found = of("Polygon", [[[13, 99]] * 2000])
    assert len(found) == 10


def test_the_reach_may_stand_in_the_geometry():
    terms = read_terms("f", {"name": "a", "geometry": {**POINT, "radius_m": 9, "crs": {"a": 1}}})
    assert terms.radius_m == 9
    assert terms.geometry == {**POINT, "radius_m": 9}


NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, 180, -90, 1e308, None, True, "x", [], {}])
)
JSON = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=30)


@given(st.sampled_from(["Point", "Polygon", "MultiPolygon", "LineString"]), JSON, JSON)
def test_no_coordinates_however_odd_break_it(kind, coordinates, width):
    faults(geometry={"type": kind, "coordinates": coordinates}, width_m=width, radius_m=None)
    faults(geometry={"type": kind, "coordinates": [coordinates]}, schedule={"days": width})


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.lists(
    st.fixed_dictionaries(
        {"to": TIMES | st.just("24:00")},
        optional={
            "from": TIMES,
            "days": st.lists(st.sampled_from(["mon", "wed", "sun"]), min_size=1, unique=True),
        },
    ),
    min_size=1,
    max_size=5,
)


@given(WINDOWS)
def test_a_schedule_reads_back_as_it_was_written(windows):
    reader = ScheduleReader()
    schedule = reader.read({"tz": "Asia/Tokyo", "windows": windows})
    assert reader.faults == []
    assert ScheduleReader().read(written(schedule)) == schedule


def test_a_row_of_a_newer_release_is_said_not_guessed():
    row = {
        "geofence_id": "f", "name": "f", "radius_m": None, "width_m": None, "drivers": None,
        "dwell_s": None, "schedule": None, "active": True, "expires_at": None, "version": 1,
        "geometry": '{"type": "Sphere"}',
    }  # fmt: skip
    with pytest.raises(ValueError, match="must be Polygon"):
        fence_of(row)
    circle = {**row, "geometry": '{"type": "Point", "coordinates": [1, 2]}', "radius_m": 5.0}
    assert fence_of(circle).shape.line == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("feature", "field"),
    [
        ([], "type"),
        ({"type": "Point"}, "type"),
        ({"type": "Feature"}, "id"),
        ({"type": "Feature", "id": "a b"}, "id"),
        ({"type": "Feature", "id": True}, "id"),
        ({"type": "Feature", "id": "import"}, "id"),
        ({"type": "Feature", "id": "a", "properties": 7}, "properties"),
        ({"type": "Feature", "id": "a", "properties": {"geofence_id": "b"}}, "id"),
    ],
)  # fmt: skip
def test_a_feature_that_is_none(feature, field):
    with pytest.raises(InvalidUpdate) as refused:
        body_of(feature)
    assert [f.field for f in refused.value.faults] == [field]


def test_a_feature_is_a_body():
    properties = {"geofence_id": 7, "radius_m": 9, "active": None}
    name, body = body_of({"type": "Feature", "geometry": POINT, "properties": properties})
    assert name == "7"
    assert body == {"name": "7", "radius_m": 9, "geometry": POINT}
