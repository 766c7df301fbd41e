"""Query strings of lists of orders and of deliveries into typed questions. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.ids import ID_DETAIL, is_id
from common.orders.states import DeliveryState
from ingest.http.queries.insight import BUCKETS_MAX, DRIVERS, DRIVERS_MAX, ID
from ingest.http.queries.query import ParamReader, Params, decode_cursor, encode_cursor, read_span

ORDERS_MAX = 1000
ORDERS = 100
GROUPS = ("none", "driver", "hour")

_CURSOR = re.compile(r"([0-9]{1,18})-([A-Za-z0-9._:\-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrdersQuery:
    """Orders of a driver, in a state (None: of all, in any), older than the place `after`."""

    driver_id: str | None
    state: str | None
    limit: int
    after: tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class DeliveriesQuery:
    """Orders that were over in start ≤ time < end, together or by driver or hour."""

    start: datetime
    end: datetime
    group: str
    format: str
    limit: int
    after: str


def read_orders_query(params: Params) -> OrdersQuery:
    """The list that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    driver_id = reader.text("driver_id")
    if driver_id is not None and not is_id(driver_id):
        reader.fault("driver_id", ID_DETAIL)
    state = reader.choice("state", [state.value for state in DeliveryState], "")
    limit = reader.integer("limit", ORDERS, 1, ORDERS_MAX)
    cursor, after = reader.text("cursor"), None
    if cursor is not None:
        match = _CURSOR.fullmatch(cursor)
        created = match and decode_cursor(match[1])
        if match is None or created is None:
            reader.fault("cursor", "must be the next_cursor of an earlier answer")
        else:
            after = (created, match[2])
    reader.done()
    return OrdersQuery(driver_id, state or None, limit, after)


def orders_cursor(row: Any) -> str:
    """What names the place after an order of a list."""
    return f"{encode_cursor(row['new_at'])}-{row['order_id']}"


def read_deliveries_query(params: Params, now: datetime) -> DeliveriesQuery:
    """The statistics that are asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now)
    group = reader.choice("group", GROUPS, "none")
    form = reader.choice("format", ("json", "csv"), "json")
    limit = reader.integer("limit", DRIVERS, 1, DRIVERS_MAX)
    after = reader.text("cursor") or ""
    if not ID.fullmatch(after):
        reader.fault("cursor", "must be the next_cursor of an earlier answer")
    if not reader.faults and group == "hour" and (end - start) / timedelta(hours=1) > BUCKETS_MAX:
        reader.fault("group", f"makes more than {BUCKETS_MAX} rows of this span")
    reader.done()
    return DeliveriesQuery(start, end, group, form, limit, after)
