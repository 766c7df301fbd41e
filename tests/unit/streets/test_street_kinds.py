"""What of OpenStreetMap is drawn, by its tags."""

import pytest

from deploy.streets.kinds import (
    NAME_CHARS_MAX,
    ZOOM_MAX,
    ZOOM_MIN,
    area_drawings,
    cleaned,
    node_drawings,
    way_drawings,
)

TAGS = [
    (way_drawings, {"highway": "motorway", "ref": "A 1;E 30"}, ["road/motorway"]),
    (way_drawings, {"highway": "residential", "name": "High Street"}, ["road/street"]),
    (way_drawings, {"highway": "proposed", "name": "Some day"}, []),
    (way_drawings, {"highway": "pedestrian", "area": "yes"}, []),
    (way_drawings, {"railway": "rail"}, ["road/rail"]),
    (way_drawings, {"railway": "abandoned"}, []),
    (way_drawings, {"waterway": "river", "name": "Rhine"}, ["line/river"]),
    (way_drawings, {"waterway": "stream", "tunnel": "culvert"}, []),
    (way_drawings, {"boundary": "administrative", "admin_level": "2"}, ["line/border"]),
    (way_drawings, {"boundary": "administrative", "admin_level": "8"}, []),
    (area_drawings, {"natural": "water", "name": "Lake"}, ["water/water", "name/water"]),
    (area_drawings, {"landuse": "forest"}, ["land/wood"]),
    (area_drawings, {"leisure": "nature_reserve", "name": "Fen"}, ["name/park"]),
    (area_drawings, {"building": "no"}, []),
    (area_drawings, {"building": "yes", "addr:housenumber": "12 a"},
     ["building/building", "number/number"]),
    (area_drawings, {"highway": "pedestrian", "area": "yes"}, ["land/parking"]),
    (node_drawings, {"place": "town", "name": "Vaduz"}, ["name/town"]),
    (node_drawings, {"place": "town"}, []),
    (node_drawings, {"natural": "peak", "name": "Falknis"}, ["name/peak"]),
    (node_drawings, {"addr:housenumber": "7"}, ["number/number"]),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "tags", "expected"), TAGS)
def test_tags_become_drawings(ask, tags, expected):
    drawings = ask(tags)
    assert [f"{drawing.layer}/{drawing.kind}" for drawing in drawings] == expected
    assert all(ZOOM_MIN <= drawing.zoom_min <= ZOOM_MAX for drawing in drawings)


def test_bridges_lie_above_and_tunnels_below():
    road = {"highway": "primary"}
    levels = [
        way_drawings(road | more)[0].level
        for more in ({}, {"bridge": "yes"}, {"tunnel": "yes"}, {"tunnel": "no", "bridge": "no"})
    ]
    assert levels == [0, 1, -1, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  High \n Street\t", "High Street"),
        ("a\x00b\x1b[31mc", "a b [31mc"),
        # A mark that turns the direction of text would turn what stands beside it.
        ("شارع \u202e\u2066فهد", "شارع فهد"),  # noqa: RUF001
        # Persian is written with joiners.
        ("می\u200cخواهم", "می\u200cخواهم"),  # noqa: RUF001
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("\x00" * 50_000, ""),
        ("", ""),
    ],
)
def test_names_are_one_line_of_plain_text(text, expected):
    assert cleaned(text) == expected


def test_long_names_are_cut():
    name = cleaned("x" * 100_000)
    assert len(name) == NAME_CHARS_MAX
    assert name.endswith("…")
