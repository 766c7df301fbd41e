"""Rows: sorted by key, each key once; the columns are those of the table and of the SQL."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import msgspec

from common.event import LocationEvent
from consumers.history.row import COLUMNS, row_of, rows_of
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
    assert rows[2][5] is None


def test_the_columns_are_the_event_s_and_the_table_s() -> None:
    assert set(COLUMNS) == {field.name for field in msgspec.structs.fields(LocationEvent)}
    event = placed(1, 5, speed=2.0, order_id="o").event
    assert row_of(event) == tuple(getattr(event, name) for name in COLUMNS)
    schema = files("deploy.schema").joinpath("0001_locations.sql").read_text()
    columns = schema.partition("$columns$")[2].partition("UNIQUE")[0].split(",\n")
    names = [line.split()[0] for line in columns if line.strip()]
    assert tuple(names) == COLUMNS
