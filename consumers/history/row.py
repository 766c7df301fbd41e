"""Rows: an event as COPY takes it. Pure."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from common.event import LocationEvent
from consumers.stream.entry import Entry

TABLE = "locations"
COLUMNS = (
    "driver_id",
    "recorded_at",
    "received_at",
    "latitude",
    "longitude",
    "speed",
    "heading",
    "accuracy",
    "altitude",
    "battery",
    "order_id",
)

Row = tuple[
    str,
    datetime,
    datetime,
    float,
    float,
    float | None,
    float | None,
    float | None,
    float | None,
    float | None,
    str | None,
]
# What identifies a fix: driver and the device's time.
Key = tuple[str, datetime]


def row_of(event: LocationEvent) -> Row:
    """The row of an event, in the order of COLUMNS."""
    return (
        event.driver_id,
        event.recorded_at,
        event.received_at,
        event.latitude,
        event.longitude,
        event.speed,
        event.heading,
        event.accuracy,
        event.altitude,
        event.battery,
        event.order_id,
    )


def rows_of(entries: Iterable[Entry]) -> tuple[list[Row], list[Row]]:
    """Rows by key, each key once: the first entry of a key stays. And the rows left out by that.

    Sorted, because two writers that insert the same keys in opposite order deadlock.
    """
    unique: dict[Key, Row] = {}
    repeated: list[Row] = []
    for entry in entries:
        event = entry.event
        row = row_of(event)
        if unique.setdefault((event.driver_id, event.recorded_at), row) is not row:
            repeated.append(row)
    return [unique[key] for key in sorted(unique)], repeated


def conflicts_among(
    rows: Sequence[Row], repeated: Sequence[Row], differing: Iterable[Row], refused: Collection[Key]
) -> list[Row]:
    """The rows of a batch that name a stored fix and say something else of it than what is stored.

    `rows` and `repeated` are what `rows_of` gave; `differing` are stored rows that differ from
    those of `rows` with the same key; `refused` keys are not stored at all. An identical repeat is
    no conflict. When a fix was received is none of its values.
    """
    stored = {row[:2]: row for row in differing}
    conflicts = list(stored.values())
    if repeated:
        stored = {row[:2]: row for row in rows} | stored
        conflicts += [
            row
            for row in repeated
            if row[:2] not in refused and _values(row) != _values(stored[row[:2]])
        ]
    return conflicts


def _values(row: Row) -> tuple[object, ...]:
    """What a fix says: all but its key and when it was received."""
    return row[3:]
