"""Rows: an event as COPY takes it. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import astuple

from common.event import LocationEvent
from consumers.stream.entry import PlacedEvent

TABLE = "locations"
# An event's values in the order of `common.event.COLUMNS`.
Row = tuple[Any, ...]
# What identifies a fix: driver and the device's time.
Key = tuple[str, datetime]


def row_of(event: LocationEvent) -> Row:
    """The row of an event, in the order of COLUMNS."""
    return astuple(event)


def rows_of(events: Iterable[PlacedEvent]) -> list[Row]:
    """Rows by key, each key once: the first event of a key stays.

    Sorted, because two writers that insert the same keys in opposite order deadlock.
    """
    unique: dict[Key, Row] = {}
    for placed in events:
        event = placed.event
        key = (event.driver_id, event.recorded_at)
        if key not in unique:
            unique[key] = row_of(event)
    return [unique[key] for key in sorted(unique)]
