"""Paths of orders and their statistics. Data only."""

from typing import Annotated, Literal

from msgspec import Meta

from common.access.policy import Action
from common.event import Id
from common.orders.order import OrderUpdate
from common.orders.states import DeliveryState
from ingest.http.queries.insight import DRIVERS, DRIVERS_MAX
from ingest.http.queries.orders import ORDERS as ORDERS_DEFAULT
from ingest.http.queries.orders import ORDERS_MAX
from ingest.openapi.dated import Dated
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.orders import (
    DeliveriesAnswer,
    JourneyAnswer,
    OrderAnswer,
    OrderPage,
    StateWanted,
)
from ingest.openapi.tables.drivers import AT, EVENT, LATER, ORDER, ORDERS
from ingest.openapi.tables.insight import CSV, FLEET, LINE, SPAN, TABLE

PATH = f"{ORDERS}/{{order_id}}"
PICKUP = {"latitude": 40.7128, "longitude": -74.006}
DROPOFF = {"latitude": 40.7306, "longitude": -73.9866}
WISHED = {
    "driver_id": "driver-7", "vehicle": "bicycle", "pickup": PICKUP, "dropoff": DROPOFF,
    "ready_at": AT, "promised_at": LATER,
}  # fmt: skip
TIMES = {
    "new": AT, "assigned": AT, "at_pickup": AT, "picked_up": AT, "arriving": None,
    "delivered": None, "cancelled": None,
}  # fmt: skip
FACTS = {
    "order_id": "order_123", **WISHED, "state": "picked_up", "times": TIMES, "distance_m": None,
    "updated_at": AT,
}  # fmt: skip
WHOLE = {**FACTS, "position": EVENT, "arrival": None}
COUNTS = {
    "delivered": 218, "cancelled": 4, "promised": 210, "on_time": 195, "on_time_share": 0.9286,
    "under_way_p50_s": 840, "under_way_p90_s": 1500, "under_way_p95_s": 1710,
    "under_way_p99_s": 2400, "under_way_max_s": 3100, "under_way_mean_s": 902.4,
    "distance_m": 812_400.5,
}  # fmt: skip

PUT = Operation(
    "put", PATH, "putOrder", "Orders", "Register or change an order",
    "All fields are optional. What is not named stays as it is, null removes it. Once an order "
    "names a driver, only that driver's fixes are shown as this order's; another name moves its "
    "watchers over, within a second. 409 for a change once the order is over.",
    answers={
        200: answer("It was there: the order as stored.", OrderAnswer, WHOLE),
        201: answer("It is new: the order as stored.", OrderAnswer, WHOLE),
    },
    errors=(400, 408, 409, 413, 415, 422, 503),
    params=(ORDER,),
    body={JSON: Media(OrderUpdate, WISHED)},
    action=Action.WRITE_ORDER,
)  # fmt: skip
READ = Operation(
    "get", PATH, "getOrder", "Orders", "An order",
    "With its state, the times of its states, and where its driver is.",
    answers={200: answer("The order.", OrderAnswer, WHOLE)},
    errors=(404, 422, 503),
    params=(ORDER,),
    action=Action.READ_ORDER,
)  # fmt: skip
LIST = Operation(
    "get", ORDERS, "listOrders", "Orders", "Orders",
    "The newest first, also those that are over.",
    answers={
        200: answer("A page; a Link header with `rel=next` leads to the next.", OrderPage, {
            "count": 1, "orders": [FACTS], "next_cursor": None,
        }),
    },
    errors=(422, 503),
    params=(
        Param("driver_id", Id, "Only those of this driver.", "driver-7"),
        Param("state", DeliveryState, "Only those in this state.", "picked_up"),
        Param("limit", Annotated[int, Meta(ge=1, le=ORDERS_MAX)],
              f"Orders on a page; default {ORDERS_DEFAULT}.", 100),
        Param("cursor", str, "The `next_cursor` of the page before.",
              Dated("{epoch_s}000000-order_123")),
    ),
    action=Action.LIST_ORDERS,
)  # fmt: skip
STATE = Operation(
    "post", f"{PATH}/state", "setOrderState", "Orders", "Bring an order into a state",
    "For what the circles around its ends did not see. States may be left out; none goes back: "
    "409. The state that it is in already is no fault.",
    answers={200: answer("The order.", OrderAnswer, WHOLE)},
    errors=(400, 404, 408, 409, 413, 415, 422, 503),
    params=(ORDER,),
    body={JSON: Media(StateWanted, {"state": "picked_up"})},
    action=Action.WRITE_ORDER,
)  # fmt: skip
JOURNEY = Operation(
    "get", f"{PATH}/journey", "readJourney", "Orders", "The journey of an order",
    "Fixes of its drivers, each in its time: those that name the order, or all of them where the "
    "driver's phone names none.",
    answers={
        200: answer("How it went, so far.", JourneyAnswer, {
            **{k: v for k, v in FACTS.items() if k != "updated_at"},
            "delivered_at": None, "late_s": None, "under_way_s": None, "distance_m": 3120.4,
            "fixes": 410,
            "drivers": [{"driver_id": "driver-7", "since": AT, "until": LATER}],
            "route": {"type": "Feature", "geometry": LINE, "properties": {"coordTimes": [AT, AT]}},
        }),
    },
    errors=(404, 422, 503),
    params=(ORDER,),
    action=Action.READ_ORDER,
)  # fmt: skip
DELIVERIES = Operation(
    "get", f"{FLEET}/deliveries", "readDeliveries", "Statistics", "Deliveries",
    "Orders that were over in the span: how many, how long under way, and the share of those with "
    "a promise that was kept.",
    answers={200: Answer("A page of drivers; a Link header with `rel=next` leads to the next.", {
        JSON: Media(DeliveriesAnswer, {
            "start_time": AT, "end_time": LATER, "group": "driver", "count": 1,
            "deliveries": [{"driver_id": "driver-7", **COUNTS}], "total": COUNTS,
            "next_cursor": None,
        }),
        CSV: Media(None, "driver_id,delivered,cancelled,promised,on_time\r\n"),
    }, {})},
    errors=(422, 503),
    params=(
        *SPAN,
        Param("group", Literal["none", "driver", "hour"], "Default: none; hours of UTC.", "driver"),
        Param("limit", Annotated[int, Meta(ge=1, le=DRIVERS_MAX)],
              f"Drivers on a page; default {DRIVERS}.", DRIVERS),
        Param("cursor", str, "The `next_cursor` of the page before.", "driver-7"),
        TABLE,
    ),
    action=Action.READ_FLEET,
)  # fmt: skip

OPERATIONS = (PUT, READ, LIST, STATE, JOURNEY, DELIVERIES)
