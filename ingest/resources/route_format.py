"""A route as JSON, GeoJSON, GPX or CSV. Pure.

GeoJSON is RFC 7946, with `coordTimes` as toGeoJSON and its readers know it; GPX is version 1.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

COLUMNS = (
    *("recorded_at", "latitude", "longitude", "speed", "heading", "accuracy", "order_id"),
    *("received_at", "altitude", "battery"),
)
# Shown where there is a value; the others are part of the object always, null or not.
OPTIONAL = ("altitude", "battery")

GPX_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx version="1.1" creator="Fleetline" xmlns="http://www.topografix.com/GPX/1/1">'
)

# A row as asyncpg gives it: by name.
Row = Any


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a driver's route."""

    driver_id: str
    start: datetime
    end: datetime
    rows: Sequence[Row]
    next_cursor: str | None


def as_json(page: Page) -> bytes:
    """The object of API.md."""
    return _dumps({**_head(page), "points": [_point(row) for row in page.rows]})


def as_geojson(page: Page) -> bytes:
    """A Feature. A line needs two positions: one is a Point, none is no geometry."""
    line: list[list[float]] = [_position(row) for row in page.rows]
    geometry: dict[str, object] | None = None
    if len(line) == 1:
        geometry = {"type": "Point", "coordinates": line[0]}
    elif line:
        geometry = {"type": "LineString", "coordinates": line}
    times = [row["recorded_at"] for row in page.rows]
    properties = {**_head(page), "coordTimes": times}
    return _dumps({"type": "Feature", "geometry": geometry, "properties": properties})


def as_gpx(page: Page) -> bytes:
    """One track with one segment."""
    # An id holds no character that XML would read; see common.event.ID_PATTERN.
    parts = [GPX_HEAD, f"<trk><name>{page.driver_id}</name><trkseg>\n"]
    for row in page.rows:
        elevation = "" if row["altitude"] is None else f"<ele>{_decimal(row['altitude'])}</ele>"
        parts.append(
            f'<trkpt lat="{_decimal(row["latitude"])}" lon="{_decimal(row["longitude"])}">'
            f"{elevation}<time>{_time(row['recorded_at'])}</time></trkpt>\n"
        )
    parts.append("</trkseg></trk></gpx>\n")
    return "".join(parts).encode()


def as_csv(page: Page) -> bytes:
    """RFC 4180 with a heading; no value can hold a comma, a quote or a line break."""
    lines = [",".join(COLUMNS)]
    lines.extend(",".join(_cell(row[name]) for name in COLUMNS) for row in page.rows)
    return ("\r\n".join(lines) + "\r\n").encode()


FORMATS: dict[str, tuple[str, Callable[[Page], bytes]]] = {
    "json": ("application/json", as_json),
    "geojson": ("application/geo+json", as_geojson),
    "gpx": ("application/gpx+xml", as_gpx),
    "csv": ("text/csv; charset=utf-8", as_csv),
}


def _head(page: Page) -> dict[str, object]:
    return {
        "driver_id": page.driver_id,
        "start_time": page.start,
        "end_time": page.end,
        "count": len(page.rows),
        "next_cursor": page.next_cursor,
    }


def _point(row: Row) -> dict[str, object]:
    point = {name: row[name] for name in COLUMNS if name not in OPTIONAL}
    point.update((name, row[name]) for name in OPTIONAL if row[name] is not None)
    return point


def _position(row: Row) -> list[float]:
    position = [row["longitude"], row["latitude"]]
    if row["altitude"] is not None:
        position.append(row["altitude"])
    return position


def _cell(value: object) -> str:
    if value is None:
        return ""
    return _time(value) if isinstance(value, datetime) else str(value)


def _decimal(value: float) -> str:
    """An xsd:decimal, which has no exponent; nine places are a tenth of a millimetre."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _time(when: datetime) -> str:
    return orjson.dumps(when, option=orjson.OPT_UTC_Z).decode().strip('"')


def _dumps(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
