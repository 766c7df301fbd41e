"""Which side of a coastline is the sea."""

import pytest
import shapely

from deploy.streets.sea import BAND, sea

# Land is on the left: an island runs against the clock.
WORLD = (-180.0, -90.0, 180.0, 90.0)
ISLAND = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]


def is_sea(areas, x, y):
    return any(shapely.covers(area, shapely.Point(x, y)) for area in areas)


def lines(*places):
    return [shapely.LineString(line) for line in places]


def test_round_an_island_there_is_sea():
    # In pieces, as coastlines are.
    areas = sea(lines(ISLAND[:3], ISLAND[2:]), WORLD)
    assert is_sea(areas, -0.1, 0.5)
    assert is_sea(areas, 1.1, 1.1)
    assert not is_sea(areas, 0.5, 0.5)
    assert not is_sea(areas, 0.01, 0.01)
    # Not the whole ocean.
    assert not is_sea(areas, 1 + 2 * BAND, 0.5)


def test_beyond_what_the_extract_has_nothing_is_known():
    areas = sea(lines(ISLAND), (-0.05, 0.0, 0.5, 0.5))
    assert is_sea(areas, -0.04, 0.25)
    assert not is_sea(areas, -0.1, 0.25)
    assert sea(lines(ISLAND), (5.0, 5.0, 6.0, 6.0)) == []


def test_an_inland_sea_is_inside():
    areas = sea(lines(ISLAND[::-1]), WORLD)
    assert is_sea(areas, 0.1, 0.5)
    assert not is_sea(areas, -0.1, 0.5)


@pytest.mark.parametrize(("coast", "wet", "dry"), [
    # From south to north the sea lies in the east.
    ([(0, 0), (0, 1)], (0.1, 0.5), (-0.1, 0.5)),
    ([(0, 1), (0, 0)], (-0.1, 0.5), (0.1, 0.5)),
    # A cape, cut off at both ends.
    ([(0, 0), (0.1, 0.4), (0.5, 0.5), (0.1, 0.6), (0, 1)], (0.14, 0.2), (0.3, 0.5)),
])  # fmt: skip
def test_a_coast_that_is_cut_off_has_land_on_its_left(coast, wet, dry):
    areas = sea(lines(coast), WORLD)
    assert is_sea(areas, *wet)
    assert not is_sea(areas, *dry)


def test_an_island_before_the_coast_is_land():
    island = [(x * 0.02 + 0.05, y * 0.02 + 0.5) for x, y in ISLAND]
    areas = sea(lines([(0, 0), (0, 1)], island), WORLD)
    assert is_sea(areas, 0.03, 0.5)
    assert not is_sea(areas, 0.06, 0.51)
    assert not is_sea(areas, -0.03, 0.5)


def test_no_coast_no_sea():
    assert sea([], WORLD) == []
    # A line that comes back on itself encloses nothing.
    assert sea(lines([(0, 0), (1, 1), (0, 0)]), WORLD) == []
