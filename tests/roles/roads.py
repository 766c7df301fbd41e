"""Small made-up maps, and road engines over them, for tests.

A grid of streets, east and north of a corner, every one 200 m long: so the length of each way is
known. OSRM drives a little slower than `maxspeed`; tests ask it, and do not assume.
"""

import asyncio
import math
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.geo.sphere import EARTH_RADIUS_M
from common.roads.way import Point
from deploy.roads.build import build
from deploy.roads.executables import MISSING, find_programs
from deploy.roads.graphs import GraphStore
from deploy.roads.server import RoadServer, ServerSite
from tests.servers import free_port
from tests.wait import pace

CORNER: Point = (47.1, 9.5)
STREET_M = 200.0
# Uniform grids are the engine's worst case; this one takes it a second.
SIDE = 12

needs_engine = pytest.mark.skipif(find_programs() is None, reason=MISSING)


def place(east: float, north: float, corner: Point = CORNER) -> Point:
    """The place so many streets east and north of the corner."""
    degree_m = math.radians(1) * EARTH_RADIUS_M
    latitude = corner[0] + north * STREET_M / degree_m
    return latitude, corner[1] + east * STREET_M / degree_m / math.cos(math.radians(corner[0]))


def node(east: int, north: int) -> int:
    """The map's name of a crossing."""
    return 1000 * (east + 1) + north + 1


def write_grid(file: Path, side: int = SIDE, *, island: bool = False) -> Path:
    """A map of `side` by `side` crossings; an island is one street that no other leads to."""
    root = ET.Element("osm", version="0.6", generator="tests")
    crossings = [(e, n) for e in range(side) for n in range(side)]
    places = {node(e, n): place(e, n) for e, n in crossings}
    ways = [[node(e, n) for e in range(side)] for n in range(side)]
    ways += [[node(e, n) for n in range(side)] for e in range(side)]
    if island:
        places |= {1: place(-5, 0), 2: place(-5, 1)}
        ways.append([1, 2])
    for name, (latitude, longitude) in places.items():
        ET.SubElement(
            root, "node", id=str(name), version="1", lat=f"{latitude:.7f}", lon=f"{longitude:.7f}"
        )
    for number, nodes in enumerate(ways, 1):
        way = ET.SubElement(root, "way", id=str(number), version="1")
        for name in nodes:
            ET.SubElement(way, "nd", ref=str(name))
        ET.SubElement(way, "tag", k="highway", v="residential")
        ET.SubElement(way, "tag", k="maxspeed", v="50")
        ET.SubElement(way, "tag", k="name", v=f"Street {number}")
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return file


def make_store(folder: Path, *, side: int = SIDE, island: bool = False) -> GraphStore:
    """Graphs with one for cars, in `folder`."""
    programs = find_programs()
    assert programs is not None
    folder.mkdir(parents=True, exist_ok=True)
    store = GraphStore(folder)
    extract = write_grid(folder / "grid.osm", side, island=island)
    made = store.new_folder("car")
    build(programs, extract, "car", made, lambda _step: None)
    store.put("car", made)
    return store


class EngineThread:
    """An engine that is started, watched and swapped by a loop in a thread of its own."""

    def __init__(self, store: GraphStore) -> None:
        programs = find_programs()
        assert programs is not None
        self.store = store
        self.server = RoadServer(ServerSite("roads-car", programs, free_port()))
        self.url = f"http://127.0.0.1:{self.server.site.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def run(self, coroutine) -> object:
        """What `coroutine` gives, run there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def start(self, stem: Path | None) -> None:
        self._thread.start()
        self.run(self.server.serve(stem or self.store.graph("car").base))

    def stop(self) -> None:
        self.run(self.server.stop())
        # The loop hears of a child's end once more, a moment after whoever waited for it.
        self.run(pace(0.02))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def engine(store: GraphStore, stem: Path | None = None) -> Iterator[EngineThread]:
    """An engine for the block, over the store's graph for cars or over `stem`."""
    thread = EngineThread(store)
    thread.start(stem)
    try:
        yield thread
    finally:
        thread.stop()
