"""A recorded trace as fixes: CSV with a map of its columns, and GPX. Pure but for the file read.

Rows keep the order of the file, late ones included: that is what the trace is worth. Times move
together, so that the spacing stays.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from common.errors import ConfigError
from common.event import EPOCH, EPOCH_MS_FROM

FIELDS = (
    "driver_id", "order_id", "recorded_at", "latitude", "longitude",
    "heading", "speed", "accuracy", "altitude", "battery",
)  # fmt: skip
REQUIRED = ("driver_id", "recorded_at", "latitude", "longitude")
NUMBERS = frozenset(FIELDS) - {"driver_id", "order_id", "recorded_at"}
# Names that recorded traces use, in lower case; the first that is there is taken.
ALIASES = {
    "driver_id": ("driver_id", "vehicle_id", "driver", "vehicle", "device_id", "tracker"),
    "order_id": ("order_id", "trip_id", "order", "trip"),
    "recorded_at": ("recorded_at", "timestamp", "time", "datetime", "t"),
    "latitude": ("latitude", "lat", "y"),
    "longitude": ("longitude", "lng", "lon", "long", "x"),
    "heading": ("heading", "bearing", "course"),
    "speed": ("speed", "speed_kmh"),
    "accuracy": ("accuracy", "hdop_m"),
    "altitude": ("altitude", "ele", "elevation"),
    "battery": ("battery",),
}
# A GPX file is one person's; 100 MB of it are years.
TRACE_BYTES_MAX = 256 * 1_048_576
# GPX speeds are metres a second.
KMH_PER_MS = 3.6


@dataclass(frozen=True, slots=True)
class Fix:
    """One row: its time and the rest as the API takes it."""

    recorded_at: datetime
    values: Mapping[str, object]

    def body(self, shift: timedelta) -> dict[str, object]:
        """As an item of a batch, its time moved."""
        moved = (self.recorded_at + shift).isoformat().replace("+00:00", "Z")
        return {**self.values, "recorded_at": moved}


@dataclass(frozen=True, slots=True)
class Trace:
    """Fixes in file order, and the rows that are none, as `row 17: latitude is missing`."""

    fixes: tuple[Fix, ...]
    refused: tuple[str, ...]

    def newest(self) -> datetime:
        """The latest time in it."""
        return max(fix.recorded_at for fix in self.fixes)

    def duration_s(self) -> float:
        """From its earliest to its latest time."""
        return (self.newest() - min(fix.recorded_at for fix in self.fixes)).total_seconds()


def read_trace(path: Path, columns: str = "") -> Trace:
    """Read a file by its kind. Raises `ConfigError` when it is none or holds nothing."""
    try:
        if path.stat().st_size > TRACE_BYTES_MAX:
            raise ConfigError(f"{path}: larger than {TRACE_BYTES_MAX >> 20} MiB")
        raw = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror}") from e
    try:
        if path.suffix.lower() == ".gpx":
            trace = parse_gpx(raw, path.stem)
        else:
            trace = parse_csv(raw.decode("utf-8-sig"), parse_columns(columns))
    except (UnicodeDecodeError, csv.Error) as e:
        raise ConfigError(f"{path}: is neither CSV nor GPX: {e}") from e
    if not trace.fixes and not trace.refused:
        raise ConfigError(f"{path}: holds no fixes")
    return trace


def parse_columns(text: str) -> dict[str, str]:
    """The map of `--columns`: field=column pairs with commas between. Raises `ConfigError`."""
    chosen = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = pair.partition("=")
        if not equals or name not in FIELDS or not column:
            raise ConfigError(
                f"--columns: {pair!r} is not FIELD=COLUMN; fields: {', '.join(FIELDS)}"
            )
        chosen[name] = column
    return chosen


def parse_csv(text: str, columns: Mapping[str, str]) -> Trace:
    """Rows of a table with a header; `columns` (field to column) wins over the known names."""
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=header.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    known = {name.lower().strip(): name for name in rows.fieldnames or ()}
    names = {}
    for field in FIELDS:
        wanted = (columns[field].lower(),) if field in columns else ALIASES[field]
        found = next((known[name] for name in wanted if name in known), None)
        if found is not None:
            names[field] = found
        elif field in columns or field in REQUIRED:
            raise ConfigError(
                f"no column for {field}; use --columns {field}=…, of: {header.strip()}"
            )
    return _collect({f: row.get(c) for f, c in names.items()} for row in rows)


def _collect(rows: Iterator[dict[str, str | None]]) -> Trace:
    fixes, refused = [], []
    for number, row in enumerate(rows, start=1):
        try:
            fixes.append(_fix(row))
        except ValueError as e:
            refused.append(f"row {number}: {e}")
    return Trace(tuple(fixes), tuple(refused))


def _fix(row: Mapping[str, str | None]) -> Fix:
    values: dict[str, object] = {}
    for field, raw in row.items():
        text = (raw or "").strip()
        if not text:
            if field in REQUIRED:
                raise ValueError(f"{field} is missing")
        elif field in NUMBERS:
            try:
                values[field] = float(text)
            except ValueError:
                raise ValueError(f"{field}: {text[:40]!r} is not a number") from None
        elif field != "recorded_at":
            values[field] = text
    return Fix(parse_time((row["recorded_at"] or "").strip()), values)


def parse_time(text: str) -> datetime:
    """ISO 8601 (UTC where it names no offset), epoch seconds or milliseconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"recorded_at: {text[:40]!r} is not a time") from None
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    try:
        return EPOCH + timedelta(seconds=number / 1000 if abs(number) >= EPOCH_MS_FROM else number)
    except (OverflowError, ValueError):
        raise ValueError(f"recorded_at: {text[:40]!r} is not a time") from None


class _Plain(TreeBuilder):
    """Refuses a DOCTYPE before any entity of it can be expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ConfigError("GPX with a DOCTYPE is refused: entities can blow up")


def parse_gpx(raw: bytes, driver_id: str) -> Trace:
    """Points of all tracks of a GPX 1.0 or 1.1 file; the driver is named after the file."""
    # Expat tells the builder of a DOCTYPE only after reading it, entities and all.
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw or b"\0" in raw:
        raise ConfigError("GPX with a DOCTYPE, with entities or not in UTF-8 is refused")
    parser = XMLParser(target=_Plain())  # noqa: S314 - no DOCTYPE can get here
    try:
        parser.feed(raw)
        root = parser.close()
    except ParseError as e:
        raise ConfigError(f"GPX is not well-formed: {e}") from e
    driver = "".join(c if c.isascii() and (c.isalnum() or c in "._:-") else "-" for c in driver_id)
    return _collect(
        _point(element, driver[:64]) for element in root.iter() if _tag(element) == "trkpt"
    )


def _point(element: Element, driver_id: str) -> dict[str, str | None]:
    inner = {_tag(child): child.text for child in element.iter() if child is not element}
    speed = inner.get("speed")
    try:
        kmh = str(float(speed) * KMH_PER_MS) if speed else None
    except ValueError:
        kmh = speed
    return {
        "driver_id": driver_id,
        "recorded_at": inner.get("time"),
        "latitude": element.get("lat"),
        "longitude": element.get("lon"),
        "heading": inner.get("course"),
        "speed": kmh,
        "altitude": inner.get("ele"),
    }


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
