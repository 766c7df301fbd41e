"""Rows: sorted by key, each key once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.event import COLUMNS, LocationEvent
from consumers.history.row import rows_of
from consumers.stream.entry import PlacedEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def placed(number: int, second: int = 0, **values: Any) -> PlacedEvent:
    """The `number`th event, of the fix of `second`."""
    said: dict[str, Any] = {"latitude": 1.0, "longitude": 2.0} | values
    event = LocationEvent(
        driver_id="d",
        recorded_at=NOW + timedelta(seconds=second),
        received_at=NOW + timedelta(minutes=number),
        **said,
    )
    return PlacedEvent(b"%d-0" % number, 0, event, b"")


def test_rows_are_sorted_and_the_first_of_each_key_stays() -> None:
    events = [placed(1, 5), placed(2, 3), placed(3, 5, speed=2.0), placed(4, 4)]
    rows = rows_of(events)
    assert [row[1].second for row in rows] == [3, 4, 5]
    assert rows[2][COLUMNS.index("speed")] is None
