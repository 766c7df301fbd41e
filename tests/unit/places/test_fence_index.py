"""The index says of every point what a slow look at every fence says."""

import math
import random

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from common.fences.fence import Fence
from common.fences.geometry import GeometryReader
from common.geo.shape import Shape
from common.geo.sphere import EARTH_RADIUS_M, distance_m
from consumers.places.rules.fence_index import FenceIndex

POINTS, FENCES = 50_000, 10_000
CITY = (-3.2, 53.2, -2.6, 53.6)


def fence(name, shape):
    return Fence(geofence_id=name, name=name, shape=shape)


def star(rng, lng, lat, far):
    """A ring of 5 to 60 corners that does not cross itself."""
    corners = rng.randint(5, 60)
    turns = [2 * math.pi * n / corners for n in range(corners)]
    ring = [
        (lng + r * math.cos(turn) / math.cos(math.radians(lat)), lat + r * math.sin(turn))
        for turn in turns
        for r in [far * rng.uniform(0.4, 1)]
    ]
    return [*ring, ring[0]]


def in_city(rng):
    west, south, east, north = CITY
    return rng.uniform(west, east), rng.uniform(south, north)


def some_fence(rng, n):
    lng, lat = in_city(rng)
    kind = n % 10
    if kind < 6:
        return fence(f"circle-{n}", Shape(line=((lng, lat),), reach_m=rng.uniform(20, 300)))
    if kind < 8:
        ring = star(rng, lng, lat, rng.uniform(0.0005, 0.004))
        hole = [((x - lng) / 3 + lng, (y - lat) / 3 + lat) for x, y in ring]
        return fence(f"area-{n}", Shape(areas=((ring, hole) if n % 2 else (ring,),)))
    if kind == 8:
        parts = [(star(rng, *in_city(rng), 0.002),) for _ in range(3)]
        return fence(f"parts-{n}", Shape(areas=parts))
    line = [(lng + 0.004 * k, lat + rng.uniform(-0.002, 0.002)) for k in range(rng.randint(2, 6))]
    return fence(f"corridor-{n}", Shape(line=line, reach_m=rng.uniform(10, 60)))


def haversines_m(lng, lat, lngs, lats):
    """Metres from one point to many, by the formula as it stands in books."""
    phi, phis = math.radians(lat), np.radians(lats)
    half = np.sin((phis - phi) / 2) ** 2
    half += np.cos(phis) * math.cos(phi) * np.sin((np.radians(lngs) - math.radians(lng)) / 2) ** 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(half))


def plainly(shape, lngs, lats, points):
    """Which of many points an area, a circle or a corridor holds: every one of them is asked."""
    if shape.areas:
        return shapely.intersects(shapely.Polygon(shape.areas[0][0], shape.areas[0][1:]), points)
    if len(shape.line) == 1:
        return haversines_m(*shape.line[0], lngs, lats) <= shape.reach_m
    # A plane at the corridor's latitude: good to millimetres within some hundred metres.
    north = math.radians(1) * EARTH_RADIUS_M
    east = north * math.cos(math.radians(shape.line[0][1]))
    flat = shapely.LineString([(x * east, y * north) for x, y in shape.line])
    return shapely.distance(flat, shapely.points(lngs * east, lats * north)) <= shape.reach_m


def near(shape, lngs, lats, far=0.02):
    """The points that are not far off: 500 million pairs would take minutes."""
    ring = shape.areas[0][0] if shape.areas else shape.line
    (west, south), (east, north) = (map(f, zip(*ring, strict=True)) for f in (min, max))
    beside = (lngs > west - far) & (lngs < east + far)
    return np.flatnonzero(beside & (lats > south - far) & (lats < north + far))


def test_all_points_against_all_fences_one_by_one():
    """50,000 random points and 10,000 fences, as shapely and the formula have them."""
    rng = random.Random(7)
    fences = [some_fence(rng, n) for n in range(FENCES)]
    index = FenceIndex(fences)
    places = [in_city(rng) for _ in range(POINTS)]
    lngs, lats = map(np.array, zip(*places, strict=True))
    points = shapely.points(lngs, lats)
    found = {f.geofence_id: set() for f in fences}
    for first in range(0, POINTS, 500):
        page = slice(first, first + 500)
        for place, held in enumerate(index.inside(lats[page], lngs[page]), first):
            assert len({f.geofence_id for f in held}) == len(held)
            for one in held:
                found[one.geofence_id].add(place)
    hits = unlike = 0
    for one in fences:
        held = set()
        for part in [Shape(areas=(rings,)) for rings in one.shape.areas] or [one.shape]:
            some = near(part, lngs, lats)
            held |= set(some[plainly(part, lngs[some], lats[some], points[some])].tolist())
        hits += len(held)
        off = found[one.geofence_id] ^ held
        unlike += len(off)
        # The plane of the corridors is no sphere: at their very edge the two may differ.
        assert not off or len(one.shape.line) > 1, one.geofence_id
    assert hits > POINTS / 2
    assert unlike <= hits / 5000


ANYWHERE = st.tuples(
    st.sampled_from([-180.0, 180.0, 179.999, -179.999, 0.0, 13.4]),
    st.sampled_from([-90.0, 90.0, 89.9995, -89.9, 60.0, 0.0]),
)


@settings(max_examples=100, deadline=None)
@given(ANYWHERE, st.floats(1, 100_000), st.randoms(use_true_random=False))
def test_a_circle_is_one_everywhere(centre, radius_m, rng):
    """Also across 180° and around a pole."""
    index = FenceIndex([fence("c", Shape(line=(centre,), reach_m=radius_m))])
    lats, lngs = [], []
    for _ in range(40):
        lat = centre[1] + math.degrees(radius_m * rng.uniform(-1.5, 1.5) / EARTH_RADIUS_M)
        wide = radius_m / EARTH_RADIUS_M / max(math.cos(math.radians(centre[1])), 1e-6)
        lng = centre[0] + math.degrees(wide) * rng.uniform(-1.5, 1.5)
        lats.append(max(-90.0, min(90.0, lat)))
        lngs.append((lng + 180) % 360 - 180)
    lngs[0] = rng.choice([-180.0, 180.0])
    for lat, lng, held in zip(lats, lngs, index.inside(lats, lngs), strict=True):
        away_m = distance_m(centre[1], centre[0], lat, lng)
        if abs(away_m - radius_m) > 1e-4:
            assert bool(held) == (away_m < radius_m)
            beyond_m = index.distance_m(index.get("c"), lat, lng)
            assert math.isclose(beyond_m, away_m - radius_m, abs_tol=1e-3)


@settings(max_examples=100, deadline=None)
@given(ANYWHERE, st.floats(0.01, 3), st.floats(1, 5000), st.randoms(use_true_random=False))
def test_a_corridor_is_what_lies_near_its_line_everywhere(begin, far, reach_m, rng):
    """Against many points of the line, each straight in longitude and latitude."""
    end = (begin[0] + far, max(-90.0, min(90.0, begin[1] + rng.uniform(-far, far))))
    line = (begin, end)
    index = FenceIndex([fence("c", Shape(line=line, reach_m=reach_m))])
    steps = np.linspace(0, 1, 20_001)
    xs = begin[0] + (end[0] - begin[0]) * steps
    ys = begin[1] + (end[1] - begin[1]) * steps
    # Half a step of the line: what its points may be off.
    slack_m = 0.6 + distance_m(begin[1], begin[0], end[1], end[0]) / 40_000
    lats, lngs = [], []
    for _ in range(15):
        at = rng.randrange(len(steps))
        off = math.degrees(reach_m / EARTH_RADIUS_M) * rng.uniform(-2, 2)
        lats.append(max(-90.0, min(90.0, ys[at] + off)))
        lngs.append((xs[at] + rng.uniform(-2, 2) * off + 180) % 360 - 180)
    for lat, lng, held in zip(lats, lngs, index.inside(lats, lngs), strict=True):
        nearest_m = haversines_m(lng, lat, xs, ys).min()
        if abs(nearest_m - reach_m) > slack_m:
            assert bool(held) == (nearest_m < reach_m)
            beyond_m = index.distance_m(index.get("c"), lat, lng)
            assert math.isclose(beyond_m, nearest_m - reach_m, abs_tol=slack_m)


def area(*rings):
    geometry = {"type": "Polygon", "coordinates": [[list(p) for p in ring] for ring in rings]}
    reader = GeometryReader()
    shape = reader.read(geometry, None, None)
    assert reader.faults == []
    return shape


CROSSING = [(179, 0), (-179, 0), (-179, 2), (179, 2), (179, 0)]
HOLE = [(-179.8, 0.5), (-179.2, 0.5), (-179.2, 1.5), (-179.8, 1.5), (-179.8, 0.5)]
FIRST_WEST = [(-179, 0), (-179, 2), (179, 2), (179, 0), (-179, 0)]


@pytest.mark.parametrize("outer", [CROSSING, FIRST_WEST, CROSSING[::-1]])
def test_an_area_may_cross_the_antimeridian(outer):
    index = FenceIndex([fence("a", area(outer, HOLE))])
    asked = {
        (179.5, 1): True, (-179.1, 1): True, (-179.5, 1): False, (180, 1): True, (-180, 1): True,
        (178.9, 1): False, (-178.9, 1): False, (0, 1): False, (179.5, 2.1): False,
    }  # fmt: skip
    found = index.inside([lat for _, lat in asked], [lng for lng, _ in asked])
    assert [bool(held) for held in found] == list(asked.values())
    beyond_m = index.distance_m(index.get("a"), 1.0, 178.9)
    assert math.isclose(beyond_m, distance_m(1, 178.9, 1, 179), rel_tol=1e-6)


@pytest.mark.parametrize(
    "ring",
    [
        [(0, 80), (120, 80), (-120, 80), (0, 80)],
        [(-180, 80), (180, 80), (180, 90), (-180, 90), (-180, 80)],
        [(170, 80), (-70, 80), (50, 80), (170, 80)],
    ],
)
def test_an_area_may_hold_a_pole(ring):
    index = FenceIndex([fence("a", area(ring))])
    found = index.inside([90, 81, 81, 81, 79, -85], [0, -180, 55, 180, 10, 10])
    assert [bool(held) for held in found] == [True, True, True, True, False, False]


def test_an_area_holds_its_edge_and_not_its_hole():
    square = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    hole = [(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6), (0.4, 0.4)]
    index = FenceIndex([fence("a", area(square, hole))])
    found = index.inside([0, 0.5, 0.5, 0.5, 1.000001], [0.3, 0.4, 0.5, 1, 0.5])
    assert [bool(held) for held in found] == [True, True, False, True, False]
    # In the hole, the way out is to the hole's edge.
    beyond_m = index.distance_m(index.get("a"), 0.5, 0.45)
    assert math.isclose(beyond_m, distance_m(0.5, 0.45, 0.5, 0.4), rel_tol=1e-4)


def test_no_fences_and_a_page_of_none():
    assert FenceIndex().inside([1.0], [2.0]) == [()]
    assert FenceIndex([some_fence(random.Random(1), n) for n in range(20)]).inside([], []) == []
    off = Fence(geofence_id="o", name="o", shape=Shape(line=((2.0, 1.0),), reach_m=9), active=False)
    index = FenceIndex([off])
    assert (index.inside([1.0], [2.0]), index.get("o")) == ([()], off)
