"""Rows of trips, stops and sums as the API shows them. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest.http.queries.query import encode_cursor
from ingest.resources.route.page import dump, time_texts

# A row as asyncpg gives it: values by column name.
Row = Any
Item = dict[str, Any]
CSV_TYPE = "text/csv; charset=utf-8"
GEOJSON_TYPE = "application/geo+json"
JSON_TYPE = "application/json"
SUMS = (
    "fixes", "distance_m", "moving_s", "stopped_s", "gap_s", "trips", "stops", "over_limit_s",
    "max_speed", "first", "last",
)  # fmt: skip


def trip_of(row: Row, silent_since: datetime) -> Item:
    """A trip. One whose driver has been silent since is over, though no fix has ended it."""
    started, ended = row["started_at"], row["ended_at"]
    return {
        "trip_id": f"{row['driver_id']}-{encode_cursor(started)}",
        "start_time": started,
        "end_time": ended,
        "start": {"latitude": row["start_latitude"], "longitude": row["start_longitude"]},
        "end": {"latitude": row["end_latitude"], "longitude": row["end_longitude"]},
        "distance_m": round(row["distance_m"], 3),
        "duration_s": (ended - started).total_seconds(),
        "moving_s": row["moving_s"],
        "max_speed": _rounded(row["speed_max"]),
        "fixes": row["fixes"],
        "open": row["open"] and ended >= silent_since,
    }


def stop_of(row: Row, silent_since: datetime) -> Item:
    """A stop, likewise: silence for longer than GAP_S ended it by a gap."""
    started, ended = row["started_at"], row["ended_at"]
    is_open = row["ended_by"] is None and ended >= silent_since
    return {
        "start_time": started,
        "end_time": ended,
        "latitude": round(row["latitude"], 7),
        "longitude": round(row["longitude"], 7),
        "duration_s": (ended - started).total_seconds(),
        "fixes": row["fixes"],
        "ended_by": None if is_open else row["ended_by"] or "gap",
        "open": is_open,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def sums_of(row: Row) -> Item:
    """Sums of a span: metres, seconds, km/h."""
    return {
        "fixes": row["fixes"],
        "distance_m": round(row["distance_m"], 3),
        "moving_s": row["moving_s"],
        "stopped_s": round(row["stopped_s"], 6),
        "gap_s": row["gap_s"],
        "trips": row["trips"],
        "stops": row["stops"],
        "over_limit_s": row["over_limit_s"],
        "max_speed": _rounded(row["speed_max"]),
        "first": row["first_at"],
        "last": row["last_at"],
    }


def total_of(items: Sequence[Mapping[str, Any]]) -> Item:
    """All of them together."""
    total: Item = {
        name: round(sum(item[name] for item in items), 6)
        for name in SUMS
        if name not in {"max_speed", "first", "last"}
    }
    for name, choose in (("max_speed", max), ("first", min), ("last", max)):
        known = [item[name] for item in items if item[name] is not None]
        total[name] = choose(known) if known else None
    return {name: total[name] for name in SUMS}


def csv_of(columns: Sequence[str], items: Iterable[Mapping[str, Any]]) -> bytes:
    """RFC 4180 with a heading; places become two columns."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(columns)
    for item in items:
        table.writerow([_cell(_value(item, column)) for column in columns])
    return text.getvalue().encode()


def _value(item: Mapping[str, Any], column: str) -> object:
    head, _, tail = column.partition("_")
    place = item.get(head)
    return place[tail] if isinstance(place, dict) and tail in place else item[column]


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return time_texts([value])[0]
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def collection_of(features: Sequence[Item], more: Mapping[str, object]) -> bytes:
    """A GeoJSON FeatureCollection with further members."""
    return dump({"type": "FeatureCollection", "features": features, **more})


def silent_since(now: datetime, gap_s: float) -> datetime:
    """Who was last heard of before it is silent."""
    return now - timedelta(seconds=gap_s)
