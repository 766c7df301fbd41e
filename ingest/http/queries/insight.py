"""Query strings of trips, stops, summaries and heat maps into typed questions. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from common.numbers import BBOX_DETAIL, Edges, read_bbox
from ingest.http.queries.query import ParamReader, Params, read_place, read_span

# A page of trips or stops; more would be a body of megabytes.
ITEMS_MAX = 1000
ITEMS = 100
# Trips of a page that is drawn: each brings its line out of the history.
LINES_MAX = 100
DRIVERS_MAX = 10_000
DRIVERS = 1000
# Hours of a month, days of two years.
BUCKETS_MAX = 750
# A heat map adds up every hour it covers.
HEAT_SPAN_MAX = timedelta(days=31)
QUARTER = timedelta(minutes=15)
COARSEST, FINEST = 5, 8
HEAT_OF = ("drivers", "fixes", "stops", "speed")

UTC_ZONE = "UTC"
By = Literal["", "hour", "day"]
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
ID = re.compile(r"[A-Za-z0-9._:\-]{0,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ItemsQuery:
    """Trips or stops of a driver that touch start ≤ time < end, after `after`."""

    start: datetime
    end: datetime
    limit: int
    after: datetime | None
    format: str


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """Sums of whole quarters of an hour that touch start ≤ time < end; `after` a driver's id."""

    start: datetime
    end: datetime
    by: str
    tz: str
    format: str
    group: str = "driver"
    limit: int = DRIVERS
    after: str = ""


@dataclass(frozen=True, slots=True)
class HeatQuery:
    """Cells of whole hours that touch start ≤ time < end, in a box (west, south, east, north)."""

    start: datetime
    end: datetime
    resolution: int
    of: str
    box: Edges | None
    format: str


def read_items_query(params: Params, now: datetime) -> ItemsQuery:
    """The trips or stops that are asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now)
    form = reader.choice("format", ("json", "geojson", "csv"), "json")
    limit = reader.integer("limit", ITEMS, 1, ITEMS_MAX)
    after = read_place(reader)
    reader.done()
    return ItemsQuery(start, end, limit, after, form)


def read_summary_query(params: Params, now: datetime) -> SummaryQuery:
    """The summary of one driver that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    query = _summary(reader, now)
    reader.done()
    return query


def read_fleet_query(params: Params, now: datetime) -> SummaryQuery:
    """The summary of everybody that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    asked = _summary(reader, now)
    group = reader.choice("group", ("driver", "none"), "driver")
    limit = reader.integer("limit", DRIVERS, 1, DRIVERS_MAX)
    after = reader.text("cursor") or ""
    if not ID.fullmatch(after):
        reader.fault("cursor", "must be the next_cursor of an earlier answer")
    reader.done()
    return SummaryQuery(
        asked.start, asked.end, asked.by, asked.tz, asked.format, group, limit, after
    )


def _summary(reader: ParamReader, now: datetime) -> SummaryQuery:
    start, end = read_span(reader, now)
    by = reader.choice("by", ("hour", "day"), "")
    tz = reader.text("tz") or UTC_ZONE
    if len(tz) > 64 or not _ZONE.fullmatch(tz):
        reader.fault("tz", "must be a time zone such as Europe/Berlin")
    form = reader.choice("format", ("json", "csv"), "json")
    step = timedelta(hours=1) if by == "hour" else timedelta(days=1)
    if by and not reader.faults and (end - start) / step > BUCKETS_MAX:
        reader.fault("by", f"makes more than {BUCKETS_MAX} rows of this span")
    if not reader.faults:
        start, end = _whole(start, end, QUARTER)
    return SummaryQuery(start, end, by, tz, form)


def read_heat_query(params: Params, now: datetime) -> HeatQuery:
    """The heat map that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now, timedelta(hours=1))
    resolution = reader.integer("resolution", FINEST, COARSEST, FINEST)
    of = reader.choice("of", HEAT_OF, "drivers")
    form = reader.choice("format", ("json", "geojson"), "json")
    box = _box(reader)
    if not reader.faults and end - start > HEAT_SPAN_MAX:
        reader.fault("start_time", f"must be at most {HEAT_SPAN_MAX.days} days before end_time")
    reader.done()
    start, end = _whole(start, end, timedelta(hours=1))
    return HeatQuery(start, end, resolution, of, box, form)


def _box(reader: ParamReader) -> Edges | None:
    text = reader.text("bbox")
    if text is None:
        return None
    edges = read_bbox(text)
    if edges is None:
        reader.fault("bbox", BBOX_DETAIL)
    return edges


def _whole(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, datetime]:
    """The span that is made of whole steps of UTC and holds this one."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + (start - midnight) // step * step
    steps = -((first - end) // step)
    try:
        return first, first + steps * step
    except OverflowError:
        return first, end
