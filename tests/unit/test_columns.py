"""The columns of a fix are declared once, by `LocationEvent`; what cannot be derived agrees."""

from datetime import UTC, datetime

import msgspec
import orjson

from common.event import (
    COLUMNS,
    DriverUpdate,
    LocationEvent,
    LocationUpdate,
    decode_event,
    encode_event,
)
from consumers.history.row import row_of
from deploy.tools.trace import fix
from ingest.openapi.shapes.drivers import Point
from ingest.resources.route.format import OPTIONAL
from ingest.resources.route.gpx import ELEMENTS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FULL = LocationUpdate(1.0, 2.0, 3.0, 4.0, 5.0, "o", altitude=6.0, battery=7.0)


def test_an_event_carries_every_column() -> None:
    """`encode_event` names its fields itself, because it is on the way of every fix."""
    assert set(orjson.loads(encode_event("d", FULL, NOW, NOW))) == set(COLUMNS)
    least = encode_event("d", LocationUpdate(1.0, 2.0), NOW, NOW)
    assert set(orjson.loads(least)) == set(COLUMNS) - set(OPTIONAL)


def test_a_row_has_the_values_in_the_order_of_the_columns() -> None:
    event = decode_event(encode_event("d", FULL, NOW, NOW))
    assert row_of(event) == tuple(getattr(event, name) for name in COLUMNS)
    # What identifies a fix stands first: rows are sorted and made unique by it.
    assert COLUMNS[:2] == ("driver_id", "recorded_at")


def test_what_a_driver_may_send_is_what_is_stored() -> None:
    sent = {field.name for field in msgspec.structs.fields(DriverUpdate)}
    assert sent == set(COLUMNS) - {"received_at"}
    assert sent == set(fix.FIELDS)


def test_the_description_of_a_point_has_every_column() -> None:
    described = {field.name: field for field in msgspec.structs.fields(Point)}
    assert set(described) == set(COLUMNS) - {"driver_id"}
    assert {name for name, field in described.items() if not field.required} == set(OPTIONAL)


def test_gpx_has_a_place_for_every_column() -> None:
    of_gpx_itself = {"latitude", "longitude", "altitude", "recorded_at"}
    assert set(ELEMENTS) == set(COLUMNS) - of_gpx_itself - {"driver_id", "received_at"}


def test_fields_that_may_be_absent_are_none() -> None:
    absent = {f.name for f in msgspec.structs.fields(LocationEvent) if not f.required}
    event = LocationEvent(
        driver_id="d", recorded_at=NOW, received_at=NOW, latitude=1.0, longitude=2.0
    )
    assert {name for name in COLUMNS if getattr(event, name) is None} == absent
