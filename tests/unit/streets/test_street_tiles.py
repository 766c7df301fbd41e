"""From geometry to tiles: what is drawn is where it was, whole, and bounded."""

import gzip
import itertools
import math

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from deploy.streets.cut import TILES_PER_THING_MAX, Cutter
from deploy.streets.kinds import ZOOM_MAX, Drawing
from deploy.streets.mercator import EXTENT, degrees, project
from deploy.streets.spill import Spill
from deploy.streets.tile import encode

WATER = Drawing("water", "water", 5)
STREET = Drawing("road", "street", 12, "High Street", 12)


def pieces_of(shape, drawing):
    return list(Cutter().pieces(np.array([shape], dtype=object), [drawing]))


def tile_at(lon, lat, zoom):
    """The tile of a place, and the place within it in units."""
    (x, y) = shapely.get_coordinates(project(np.array([shapely.Point(lon, lat)])))[0] * 2**zoom
    return (math.floor(x), math.floor(y)), shapely.Point(x % 1 * EXTENT, y % 1 * EXTENT)


def test_places_come_back_from_the_square():
    for lon, lat in ((0, 0), (9.5, 47.1), (-179.9, -60), (151.2, -33.9)):
        x, y = shapely.get_coordinates(project(np.array([shapely.Point(lon, lat)])))[0]
        assert degrees(x, y) == pytest.approx((lon, lat))


@given(
    st.tuples(st.floats(-170, 170), st.floats(-75, 75)),
    st.floats(0.01, 0.2),
    st.floats(0.2, 0.8),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_an_area_covers_what_it_covered_and_its_hole_does_not(middle, half, share, off):
    (lon, lat), (dx, dy) = middle, off
    shell = shapely.box(lon - half, lat - half, lon + half, lat + half)
    hole = shapely.box(
        lon - half * share, lat - half * share, lon + half * share, lat + half * share
    )
    area = shell - hole
    asked = shapely.Point(lon + dx * half * 1.2, lat + dy * half * 1.2)
    (column, row), units = tile_at(asked.x, asked.y, ZOOM_MAX)
    parts = [
        shapely.from_wkb(piece.wkb)
        for piece in pieces_of(area, WATER)
        if (piece.zoom, piece.column, piece.row) == (ZOOM_MAX, column, row)
    ]
    assert len(parts) <= 1
    # A unit is rounded, and so is the edge.
    if shapely.boundary(area).distance(asked) > 2 * 360 / 2**ZOOM_MAX / EXTENT:
        covered = bool(parts) and shapely.covers(shapely.make_valid(parts[0]), units)
        assert covered == shapely.covers(area, asked)


def test_a_thing_that_crosses_180_degrees_has_no_line_round_the_world():
    line = shapely.LineString([(179.99, 10), (-179.99, 10.01)])
    columns = {piece.column for piece in pieces_of(line, STREET) if piece.zoom == 12}
    assert columns == {0, 4095}
    for piece in pieces_of(line, STREET):
        assert shapely.length(shapely.from_wkb(piece.wkb)) < 2 * EXTENT


def test_one_wrong_node_does_not_make_a_tile_of_the_whole_world():
    cutter = Cutter()
    world = shapely.box(-179, -80, 0.9, 80)
    pieces = list(cutter.pieces(np.array([world], dtype=object), [WATER]))
    assert max(piece.zoom for piece in pieces) < ZOOM_MAX
    assert len(pieces) < 2 * TILES_PER_THING_MAX
    assert cutter.left_out["in too many tiles"] > 0


def test_what_has_no_shape_is_counted():
    cutter = Cutter()
    shapes = np.array(
        [shapely.Polygon(), shapely.Point(math.nan, 1), shapely.LineString()], dtype=object
    )
    assert list(cutter.pieces(shapes, [WATER, STREET, STREET])) == []
    assert cutter.left_out["without a shape"] == 3


def test_a_ring_that_crosses_itself_is_drawn_all_the_same():
    bow = shapely.Polygon([(9, 47), (9.01, 47.01), (9.01, 47), (9, 47.01), (9, 47)])
    assert {piece.zoom for piece in pieces_of(bow, WATER)} >= {ZOOM_MAX - 1, ZOOM_MAX}


def test_small_areas_come_later_than_large_ones():
    def first(half):
        area = shapely.box(9 - half, 47 - half, 9 + half, 47 + half)
        return min(piece.zoom for piece in pieces_of(area, WATER))

    assert [first(half) for half in (0.5, 0.02, 0.001, 0.00001)] == [5, 7, 11, ZOOM_MAX]


def test_pieces_of_a_street_become_one_line_with_one_name():
    places = [(9.5 + i * 0.001, 47.1) for i in range(5)]
    packed = [
        (piece.drawing, piece.wkb)
        for a, b in itertools.pairwise(places)
        for piece in pieces_of(shapely.LineString([a, b]), STREET)
        if (piece.zoom, (piece.column, piece.row)) == (13, tile_at(9.5, 47.1, 13)[0])
    ]
    assert len(packed) > 1
    body, left_out = encode(13, packed)
    layer = mapbox_vector_tile.decode(gzip.decompress(body))["road"]
    assert left_out == 0
    assert [f["properties"] for f in layer["features"]] == [
        {"kind": "street", "name": "High Street"}
    ]
    assert layer["features"][0]["geometry"]["type"] == "LineString"


def test_names_are_in_tiles_from_their_zoom_on():
    line = shapely.LineString([(9.5, 47.1), (9.6, 47.2)])
    drawing = Drawing("road", "primary", 8, "Main Road", 12, ref="A 1", level=1)
    facts = {}
    for piece in pieces_of(line, drawing):
        body, _ = encode(piece.zoom, [(piece.drawing, piece.wkb)])
        road = mapbox_vector_tile.decode(gzip.decompress(body))["road"]["features"][0]
        facts[piece.zoom] = road["properties"]
    assert facts[8] == {"kind": "primary", "ref": "A 1"}
    assert facts[12] == {"kind": "primary", "ref": "A 1", "name": "Main Road"}
    assert facts[14] == {**facts[12], "level": 1}


def test_a_crowded_tile_keeps_what_matters(monkeypatch):
    monkeypatch.setattr("deploy.streets.tile.PIECES_MAX", 2)
    point = shapely.to_wkb(shapely.Point(1, 1))
    pieces = [(Drawing("name", "town", 8, f"Town {n}", 8, rank=n), point) for n in (5, 1, 3, 2)]
    body, left_out = encode(10, pieces)
    names = mapbox_vector_tile.decode(gzip.decompress(body))["name"]["features"]
    assert left_out == 2
    assert sorted(f["properties"]["name"] for f in names) == ["Town 1", "Town 2"]


def test_what_is_spilled_comes_back_by_tile(tmp_path):
    pieces = pieces_of(shapely.LineString([(9.5, 47.1), (9.9, 47.4)]), STREET)
    with Spill(tmp_path) as spill:
        for piece in pieces:
            spill.add(piece)
        tiles = dict(spill.tiles())
    assert {(p.zoom, p.column, p.row): [(p.drawing, p.wkb)] for p in pieces} == tiles
    assert list(tmp_path.iterdir()) == []
