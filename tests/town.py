"""A made-up town as an OpenStreetMap extract: streets, a river, a park with a pond, houses."""

from collections.abc import Mapping
from pathlib import Path

import osmium
from osmium.osm import mutable

# Its middle, where other tests have their drivers.
MIDDLE = (53.4084, -2.9916)
STREETS = 12
BLOCK_DEGREES = (0.0012, 0.002)
HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>",
    "شارع الملك \u202e فهد",
    # As long as OpenStreetMap allows.
    "x" * 255,
    "Line\nbreak and bell\x07",
    "'; DROP TABLE streets; --",
)


class Extract:
    """Writes things in the order that extracts have: nodes, ways, relations."""

    def __init__(self) -> None:
        self._nodes: list[mutable.Node] = []
        self._ways: list[mutable.Way] = []
        self._relations: list[mutable.Relation] = []

    def node(self, lat: float, lon: float, **tags: str) -> int:
        """A node; its id."""
        number = len(self._nodes) + 1
        self._nodes.append(mutable.Node(id=number, location=(lon, lat), tags=tags))
        return number

    def way(self, places: list[tuple[float, float]], tags: Mapping[str, str]) -> int:
        """A line through (lat, lon); closed where the first place is the last as well."""
        closed = places[0] == places[-1]
        nodes = [self.node(*place) for place in (places[:-1] if closed else places)]
        return self.way_of(nodes + nodes[:1] if closed else nodes, tags)

    def way_of(self, nodes: list[int], tags: Mapping[str, str]) -> int:
        """A line through nodes by their ids, which need not be in the extract."""
        number = len(self._ways) + 1
        self._ways.append(mutable.Way(id=number, nodes=nodes, tags=dict(tags)))
        return number

    def relation(self, members: list[tuple[int, str]], tags: Mapping[str, str]) -> None:
        """An area of ways, each outer or inner."""
        number = len(self._relations) + 1
        wanted = [("w", way, role) for way, role in members]
        self._relations.append(mutable.Relation(id=number, members=wanted, tags=dict(tags)))

    def write(self, path: Path) -> Path:
        """The file."""
        with osmium.SimpleWriter(str(path), overwrite=True) as writer:
            for node in self._nodes:
                writer.add_node(node)
            for way in self._ways:
                writer.add_way(way)
            for relation in self._relations:
                writer.add_relation(relation)
        return path


def ring(lat: float, lon: float, half: float) -> list[tuple[float, float]]:
    """A square round a place; `half` its side, in degrees of latitude."""
    wide = half * 1.6
    return [
        (lat - half, lon - wide), (lat - half, lon + wide), (lat + half, lon + wide),
        (lat + half, lon - wide), (lat - half, lon - wide),
    ]  # fmt: skip


def town(path: Path, names: tuple[str, ...] = ()) -> Path:
    """The town; its first streets have `names`."""
    extract = Extract()
    lat, lon = MIDDLE
    step_lat, step_lon = BLOCK_DEGREES
    south, west = lat - STREETS / 2 * step_lat, lon - STREETS / 2 * step_lon
    rows = [
        [(south + i * step_lat, west + j * step_lon) for j in range(STREETS + 1)]
        for i in range(STREETS + 1)
    ]
    for number, row in enumerate(rows):
        name = names[number] if number < len(names) else f"{number + 1}th Street"
        kind = "primary" if number == STREETS // 2 else "residential"
        extract.way(row, {"highway": kind, "name": name, "ref": "A 5080"})
    for number, column in enumerate(zip(*rows, strict=True)):
        extract.way(list(column), {"highway": "tertiary", "name": f"Avenue {number + 1}"})
    for i in range(STREETS):
        for j in range(STREETS):
            at = (south + (i + 0.3) * step_lat, west + (j + 0.3) * step_lon)
            tags = {"building": "yes", "addr:housenumber": str(i * STREETS + j + 1)}
            extract.way(ring(*at, 0.0002), tags)
    park = extract.way(ring(lat + 0.003, lon + 0.005, 0.0016), {})
    pond = extract.way(ring(lat + 0.003, lon + 0.005, 0.0006), {})
    tags = {"type": "multipolygon", "leisure": "park", "name": "Pond Park"}
    extract.relation([(park, "outer"), (pond, "inner")], tags)
    extract.way(ring(lat + 0.003, lon + 0.005, 0.0006), {"natural": "water", "name": "The Pond"})
    river = [(south - 0.001, west + j * step_lon) for j in range(STREETS)]
    extract.way(river, {"waterway": "river", "name": "River Made-up"})
    extract.way([(s - 0.002, w) for s, w in river], {"highway": "motorway", "ref": "M 62"})
    extract.node(lat, lon, place="town", name="Grid Town")
    return extract.write(path)
