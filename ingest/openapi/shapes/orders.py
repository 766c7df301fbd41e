"""Answers about orders, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from common.arrivals.arrival import Arrival
from common.contract import Vehicle
from common.event import LocationEvent
from common.orders.order import OrderPlace, StateTimes
from common.orders.states import DeliveryState
from ingest.openapi.shapes.insight import Amount, Cursor, Metres, Span

Late = Annotated[float | None, Meta(description="seconds; below 0 when it was early")]
Share = Annotated[float, Meta(ge=0, le=1)]


class OrderFacts(msgspec.Struct):
    """An order. Absent values are null; `distance_m` follows minutes after its end."""

    order_id: str
    driver_id: str | None
    vehicle: Vehicle | None
    pickup: OrderPlace | None
    dropoff: OrderPlace | None
    ready_at: datetime | None
    promised_at: datetime | None
    state: DeliveryState
    times: StateTimes
    distance_m: Metres | None
    updated_at: datetime


class OrderAnswer(OrderFacts, kw_only=True):
    """An order, where its driver is, and when it arrives; null where that is not known."""

    position: LocationEvent | None
    arrival: Arrival | None


class OrderPage(msgspec.Struct):
    """A page of orders; the newest first."""

    count: Amount
    orders: list[OrderFacts]
    next_cursor: Cursor


class OrderDriver(msgspec.Struct):
    """Who had the order from when to when; the last one until now, or its end."""

    driver_id: str
    since: datetime
    until: datetime


class JourneyAnswer(msgspec.Struct):
    """How an order went. `route` is a GeoJSON Feature with `coordTimes`, drawn to 10 m."""

    order_id: str
    driver_id: str | None
    vehicle: Vehicle | None
    state: DeliveryState
    times: StateTimes
    pickup: OrderPlace | None
    dropoff: OrderPlace | None
    ready_at: datetime | None
    promised_at: datetime | None
    delivered_at: datetime | None
    late_s: Late
    under_way_s: Span | None
    distance_m: Metres | None
    fixes: Amount
    drivers: list[OrderDriver]
    route: dict[str, Any]


class DeliveryCounts(msgspec.Struct):
    """Orders that were over. A delivery is under way from its pick-up, or else its assignment."""

    delivered: Amount
    cancelled: Amount
    promised: Amount
    on_time: Amount
    on_time_share: Share | None
    under_way_p50_s: Span | None
    under_way_p90_s: Span | None
    under_way_p95_s: Span | None
    under_way_p99_s: Span | None
    under_way_max_s: Span | None
    under_way_mean_s: Span | None
    distance_m: Metres | None


class DeliveriesRow(DeliveryCounts):
    """Those of a driver, or of an hour that begins at `start_time`."""

    driver_id: str | msgspec.UnsetType = msgspec.UNSET
    start_time: datetime | msgspec.UnsetType = msgspec.UNSET


class DeliveriesAnswer(msgspec.Struct):
    """All of the span in `total`; rows where a group was asked for."""

    start_time: datetime
    end_time: datetime
    group: Literal["none", "driver", "hour"]
    count: Amount
    total: DeliveryCounts
    next_cursor: Cursor
    deliveries: list[DeliveriesRow] | msgspec.UnsetType = msgspec.UNSET


class StateWanted(msgspec.Struct):
    """The state that the order is in."""

    state: DeliveryState
