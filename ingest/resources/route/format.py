"""A route as JSON, GeoJSON, GPX or CSV. Pure.

A page of 10,000 fixes takes tens of milliseconds to format, and the worker could take no fix
meanwhile. So a `RouteWriter` takes the rows in pieces, and its caller lets the event loop go on
between two of them.
"""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from ingest.resources.route.geojson import GeoJsonWriter
from ingest.resources.route.gpx import GpxWriter
from ingest.resources.route.page import (
    COLUMNS,
    PageFacts,
    RouteWriter,
    Row,
    dump,
    dump_items,
    time_texts,
)

# Shown where there is a value; the other columns are part of a JSON point always, null or not.
OPTIONAL = ("altitude", "battery")
REQUIRED = tuple(name for name in COLUMNS if name not in OPTIONAL)
TIMES = ("recorded_at", "received_at")
# Last, so that readers that count columns find the others where they were.
CSV_COLUMNS = (*COLUMNS, "driver_id")


class JsonWriter:
    """The object that clients ask for by default, `format=json`."""

    def __init__(self, _driver_id: str) -> None:
        self._pieces: list[bytes] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Format the next rows."""
        self._pieces.append(dump_items([_point(row) for row in rows]))

    def finish(self, page: PageFacts) -> bytes:
        """The body of the answer."""
        points = b",".join(self._pieces)
        return b"".join((dump(page.facts())[:-1], b',"points":[', points, b"]}"))


class CsvWriter:
    """RFC 4180 with a heading. Each row names its driver: a file has no other place for it."""

    def __init__(self, driver_id: str) -> None:
        self._driver_id = driver_id
        self._text = io.StringIO(newline="")
        self._table = csv.writer(self._text, lineterminator="\r\n")
        self._table.writerow(CSV_COLUMNS)

    def add(self, rows: Sequence[Row]) -> None:
        """Format the next rows."""
        columns = [_cells(name, [row[name] for row in rows]) for name in COLUMNS]
        self._table.writerows(zip(*columns, [self._driver_id] * len(rows), strict=True))

    def finish(self, _page: PageFacts) -> bytes:
        """The body of the answer."""
        return self._text.getvalue().encode()


# Media type, and what makes the writer of one page of a driver.
FORMATS: dict[str, tuple[str, Callable[[str], RouteWriter]]] = {
    "json": ("application/json", JsonWriter),
    "geojson": ("application/geo+json", GeoJsonWriter),
    "gpx": ("application/gpx+xml", GpxWriter),
    "csv": ("text/csv; charset=utf-8", CsvWriter),
}


def _point(row: Row) -> dict[str, object]:
    point = {name: row[name] for name in REQUIRED}
    point.update((name, row[name]) for name in OPTIONAL if row[name] is not None)
    return point


def _cells(name: str, values: list[Any]) -> list[Any]:
    return time_texts(values) if name in TIMES else values
