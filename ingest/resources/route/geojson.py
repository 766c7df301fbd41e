"""A route as a GeoJSON Feature (RFC 7946). Pure.

The readers that people have decide three things. Positions are all of the same dimension: with
altitude where every fix of the page has one, else without. A line that crosses the antimeridian
is cut there (3.1.9), and is a MultiLineString then. And what a position cannot say stands in
`properties`, in lists of the same shape as the coordinates: `coordTimes`, as toGeoJSON names it,
and one for each column. A position that a cut added is no fix: it has no `received_at`.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from ingest.resources.route.page import COLUMNS, PageFacts, Row, dump, dump_items, join_items

# The columns that stand in `properties`, in lists; the others are in the positions or the times.
LISTED = tuple(c for c in COLUMNS if c not in {"recorded_at", "latitude", "longitude"})
# Left out when no fix of the page has a value.
OPTIONAL = tuple(c for c in LISTED if c != "received_at")

_values = itemgetter("longitude", "latitude", "altitude", "recorded_at", *LISTED)


class Vertex(NamedTuple):
    """A corner of the line: degrees, metres, and the values of LISTED, all None at a cut."""

    longitude: float
    latitude: float
    altitude: float | None
    time: datetime
    listed: tuple[object, ...]


NO_FIX = (None,) * len(LISTED)


def crossing(a: Vertex, b: Vertex) -> tuple[Vertex, Vertex]:
    """The antimeridian between two vertices more than 180° apart, as seen from either side."""
    edge = 180.0 if a.longitude > 0 else -180.0
    # Where b lies when longitudes are counted on past the edge; a never lies on it.
    beyond = b.longitude + 2 * edge
    part = (edge - a.longitude) / (beyond - a.longitude)
    latitude = a.latitude + (b.latitude - a.latitude) * part
    altitude = None
    if a.altitude is not None and b.altitude is not None:
        altitude = a.altitude + (b.altitude - a.altitude) * part
    time = a.time + (b.time - a.time) * part
    here = Vertex(edge, latitude, altitude, time, NO_FIX)
    return here, here._replace(longitude=-edge)


class _LinePart:
    """The vertices between two cuts, in JSON, column by column."""

    def __init__(self) -> None:
        self.count = 0
        self.flat: list[bytes] = []
        self.tall: list[bytes] = []
        self.times: list[bytes] = []
        self.listed: list[list[bytes]] = [[] for _ in LISTED]

    def add(self, vertices: Sequence[Vertex], *, tall: bool) -> None:
        if not vertices:
            return
        self.count += len(vertices)
        longitudes, latitudes, altitudes, times, listed = zip(*vertices, strict=True)
        self.flat.append(dump_items(list(zip(longitudes, latitudes, strict=True))))
        if tall:
            positions = zip(longitudes, latitudes, altitudes, strict=True)
            self.tall.append(dump_items(list(positions)))
        self.times.append(dump_items(times))
        for pieces, values in zip(self.listed, zip(*listed, strict=True), strict=True):
            pieces.append(dump_items(values))


class GeoJsonWriter:
    """A Feature. A line needs two positions: one is a Point, none is no geometry."""

    def __init__(self, _driver_id: str) -> None:
        self._lines = [_LinePart()]
        # Vertices of the last line that are not in it yet: its end is, until the next one comes.
        self._held: list[Vertex] = []
        # Whether every fix so far has an altitude.
        self._tall = True
        # Columns in which some fix has a value.
        self._known = {"received_at"}

    def add(self, rows: Sequence[Row]) -> None:
        """Format the next rows."""
        self._tall = self._tall and all(row["altitude"] is not None for row in rows)
        for column in OPTIONAL:
            if column not in self._known and any(row[column] is not None for row in rows):
                self._known.add(column)
        for row in rows:
            longitude, latitude, altitude, time, *listed = _values(row)
            vertex = Vertex(longitude, latitude, altitude, time, tuple(listed))
            if self._held and abs(longitude - self._held[-1].longitude) > 180:
                vertex = self._across(vertex)
            self._held.append(vertex)
        self._flush(self._held[:-1])
        self._held = self._held[-1:]

    def finish(self, page: PageFacts) -> bytes:
        """The body of the answer."""
        self._flush(self._held)
        lines = self._lines
        single = len(lines) == 1
        columns = [("coordTimes", [join_items(line.times) for line in lines])]
        columns += [
            (name, [join_items(line.listed[index]) for line in lines])
            for index, name in enumerate(LISTED)
            if name in self._known
        ]
        members = b"".join(
            b',"%b":%b' % (name.encode(), pieces[0] if single else join_items(pieces))
            for name, pieces in columns
        )
        return b'{"type":"Feature","geometry":%b,"properties":%b%b}}' % (
            self._geometry(),
            dump(page.facts())[:-1],
            members,
        )

    def _geometry(self) -> bytes:
        lines = [join_items(line.tall if self._tall else line.flat) for line in self._lines]
        if len(lines) > 1:
            return b'{"type":"MultiLineString","coordinates":%b}' % join_items(lines)
        count = self._lines[0].count
        if count == 0:
            return b"null"
        if count == 1:
            return b'{"type":"Point","coordinates":%b}' % lines[0][1:-1]
        return b'{"type":"LineString","coordinates":%b}' % lines[0]

    def _across(self, vertex: Vertex) -> Vertex:
        """Cut the line before `vertex`, which lies on the other side. `vertex` as it is drawn."""
        last = self._held[-1]
        if abs(vertex.longitude) == 180:
            # The same place as seen from this side: there is nothing to cut.
            return vertex._replace(longitude=-vertex.longitude)
        if abs(last.longitude) < 180:
            here, there = crossing(last, vertex)
            self._held.append(here)
        else:
            there = last._replace(longitude=-last.longitude)
            if self._lines[-1].count == 0 and len(self._held) == 1:
                # The line begins with it, and had only one position on the side that it left.
                self._held = [there]
                return vertex
            there = there._replace(listed=NO_FIX)
        self._flush(self._held)
        self._lines.append(_LinePart())
        self._held = [there]
        return vertex

    def _flush(self, vertices: Sequence[Vertex]) -> None:
        self._lines[-1].add(vertices, tall=self._tall)
