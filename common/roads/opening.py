"""`Travel` as the settings say: with the engines of ROADS_URL, where there are any."""

from common.roads.engine import RoadEngine
from common.roads.travel import PaceSource, StraightPaces, Travel
from common.roads.urls import parse_roads_url


def open_travel(roads_url: str, paces: PaceSource | None = None) -> Travel:
    """Connects to nothing before it is asked. Raises `ValueError` for a wrong ROADS_URL."""
    return Travel(RoadEngine(parse_roads_url(roads_url)), paces or StraightPaces())
