"""Lines as GeoJSON."""

from ingest.resources.roads.line import line_geometry


def test_one_line_several_and_none():
    assert line_geometry([]) is None
    assert line_geometry([[(1.0, 2.0)]]) is None
    assert line_geometry([[(1.0, 2.0), (3.0, 4.0)]]) == {
        "type": "LineString",
        "coordinates": [[2.0, 1.0], [4.0, 3.0]],
    }
    several = line_geometry([[(1.0, 2.0), (3.0, 4.0)], [(5.0, 6.0), (7.0, 8.0)]])
    assert several is not None
    assert several["type"] == "MultiLineString"


def test_a_line_is_cut_at_the_antimeridian():
    drawn = line_geometry([[(0.0, 179.0), (2.0, -179.0), (2.0, -178.0)]])
    assert drawn == {
        "type": "MultiLineString",
        "coordinates": [
            [[179.0, 0.0], [180.0, 1.0]],
            [[-180.0, 1.0], [-179.0, 2.0], [-178.0, 2.0]],
        ],
    }
