"""Query strings into typed questions. Pure; every parameter at fault is named.

Falcon hands over text, or a list of texts where a parameter was given more than once. Numbers
are matched before they are converted (`common.numbers`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec

from common.contract import Vehicle
from common.errors import Fault, InvalidUpdate
from common.event import EPOCH, MICROSECOND
from common.numbers import DECIMAL

Params = Mapping[str, str | list[str]]

SPAN = timedelta(hours=24)
# One page of a route: 10,000 points are about 2 MB of JSON and 50 ms of a worker's CPU.
ROUTE_POINTS_MAX = 10_000
ROUTE_POINTS = 1000
ROUTE_FORMATS = ("json", "geojson", "gpx", "csv")
# 100 km hold every driver of a city; wider is the operators' map, not a question for the nearest.
RADIUS_M_MAX = 100_000.0
RADIUS_M = 1000.0
NEARBY_MAX = 1000
NEARBY = 50
NEARBY_SORTS = ("distance", "arrival")
DEFAULT_VEHICLE: Vehicle = "car"
# Coarser than a kilometre is no route any more.
SIMPLIFY_M_MAX = 1000.0

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """Fixes with start ≤ recorded_at < end, and after `after` where a page came before."""

    start: datetime
    end: datetime
    limit: int
    after: datetime | None
    format: str
    # Leave out what lies nearer than this to the line through the others; 0: all are shown.
    simplify_m: float = 0.0


@dataclass(frozen=True, slots=True)
class NearbyQuery:
    """The `limit` drivers nearest to a point, within `radius` metres."""

    latitude: float
    longitude: float
    radius: float
    limit: int
    # How they are ordered: distance, or arrival by `vehicle`.
    sort: str = "distance"
    vehicle: Vehicle = "car"


class ParamReader:
    """Reads parameters one by one and gathers what is wrong with them."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self.faults: list[Fault] = []

    def fault(self, name: str, detail: str) -> None:
        self.faults.append(Fault(name, detail))

    def text(self, name: str) -> str | None:
        value = self._params.get(name)
        if isinstance(value, list):
            self.fault(name, "is given more than once")
            return None
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
            self.fault(name, f"must be a whole number from {least} to {most}")
            return default
        return int(text)

    def decimal(self, name: str, default: float | None, least: float, most: float) -> float:
        text = self.text(name)
        if text is None:
            if default is None and name not in {f.field for f in self.faults}:
                self.fault(name, "is required")
            return default or 0.0
        if not DECIMAL.fullmatch(text) or not least <= float(text) <= most:
            self.fault(name, f"must be a number from {least:g} to {most:g}")
            return 0.0
        return float(text)

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        if text is None:
            return None
        # An unescaped + of an offset arrives as a blank.
        text = text.replace(" ", "+") if "T" in text else text
        try:
            when = msgspec.convert(text, datetime)
            if when.tzinfo is None:
                raise ValueError("no offset")
            return when.astimezone(UTC)
        except (msgspec.ValidationError, ValueError, OverflowError):
            self.fault(name, "must be a time as RFC 3339 with an offset")
            return None

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        text = self.text(name)
        if text is not None and text not in choices:
            self.fault(name, f"must be one of {', '.join(choices)}")
        return default if text is None else text

    def done(self) -> None:
        if self.faults:
            detail = "; ".join(f"{f.field}: {f.detail}" for f in self.faults)
            raise InvalidUpdate(detail, faults=tuple(self.faults))


def read_route_query(params: Params, now: datetime) -> RouteQuery:
    """The route that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now)
    limit = reader.integer("limit", ROUTE_POINTS, 1, ROUTE_POINTS_MAX)
    form = reader.choice("format", ROUTE_FORMATS, "json")
    simplify_m = reader.decimal("simplify", 0.0, 0, SIMPLIFY_M_MAX)
    after = read_place(reader)
    reader.done()
    return RouteQuery(start, end, limit, after, form, simplify_m)


def read_span(
    reader: ParamReader, now: datetime, default: timedelta = SPAN
) -> tuple[datetime, datetime]:
    """`start_time` and `end_time`; by default `default` up to now."""
    end = reader.time("end_time") or now
    start = reader.time("start_time")
    if start is None:
        try:
            start = end - default
        except OverflowError:
            start = end
    if not reader.faults and start >= end:
        reader.fault("start_time", "must be before end_time")
    return start, end


def read_place(reader: ParamReader) -> datetime | None:
    """The time in `cursor` of the item after which a page begins."""
    cursor = reader.text("cursor")
    after = None if cursor is None else decode_cursor(cursor)
    if cursor is not None and after is None:
        reader.fault("cursor", "must be the next_cursor of an earlier answer")
    return after


def encode_cursor(recorded_at: datetime) -> str:
    """What names the place after a point: its time, which is unique for a driver."""
    return str((recorded_at - EPOCH) // MICROSECOND)


def decode_cursor(cursor: str) -> datetime | None:
    """The time in a cursor, or None when it is not one."""
    if not _CURSOR.fullmatch(cursor):
        return None
    try:
        return EPOCH + int(cursor) * MICROSECOND
    except OverflowError:
        return None


def read_nearby_query(params: Params) -> NearbyQuery:
    """The neighbourhood that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    query = NearbyQuery(
        latitude=reader.decimal("lat", None, -90, 90),
        longitude=reader.decimal("lng", None, -180, 180),
        radius=reader.decimal("radius", RADIUS_M, 0, RADIUS_M_MAX),
        limit=reader.integer("limit", NEARBY, 1, NEARBY_MAX),
        sort=reader.choice("sort", NEARBY_SORTS, "distance"),
        vehicle=read_vehicle(reader),
    )
    reader.done()
    return query


def read_vehicle(reader: ParamReader) -> Vehicle:
    """The kind of vehicle that is asked about."""
    named = reader.choice("vehicle", get_args(Vehicle), DEFAULT_VEHICLE)
    kinds: tuple[Vehicle, ...] = get_args(Vehicle)
    return next((kind for kind in kinds if kind == named), DEFAULT_VEHICLE)
