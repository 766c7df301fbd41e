"""The query string of the events' feed into a typed question. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.events.happening import HappeningType
from common.ids import ID_DETAIL, is_id
from ingest.http.queries.query import ParamReader, Params

# A page: about 300 KB.
EVENTS_MAX = 1000
EVENTS = 100
SPAN = timedelta(hours=24)
# A place in the feed (`events.seq`): what fits into a bigint.
_CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)
_TYPES = frozenset(HappeningType)


@dataclass(frozen=True, slots=True)
class EventsQuery:
    """Events found out at `since` or later (None: whenever), that lie after `after` in the feed."""

    since: datetime | None
    after: int | None
    types: Sequence[str]
    driver_id: str | None
    geofence_id: str | None
    limit: int


def read_events_query(params: Params, now: datetime) -> EventsQuery:
    """The events that are asked for; without a place to begin, of the last day.

    Raises `InvalidUpdate`.
    """
    reader = ParamReader(params)
    since = reader.time("since")
    cursor = reader.text("cursor")
    after = int(cursor) if cursor is not None and _CURSOR.fullmatch(cursor) else None
    if cursor is not None and after is None:
        reader.fault("cursor", "must be a cursor of an earlier answer")
    named = reader.text("type")
    types = () if named is None else tuple(dict.fromkeys(named.split(",")))
    if not _TYPES.issuperset(types):
        reader.fault("type", f"must be of {', '.join(HappeningType)}")
    query = EventsQuery(
        since=now - SPAN if since is None and after is None else since,
        after=after,
        types=types,
        driver_id=_id(reader, "driver_id"),
        geofence_id=_id(reader, "geofence_id"),
        limit=reader.integer("limit", EVENTS, 1, EVENTS_MAX),
    )
    reader.done()
    return query


def _id(reader: ParamReader, name: str) -> str | None:
    text = reader.text(name)
    if text is not None and not is_id(text):
        reader.fault(name, ID_DETAIL)
    return text
