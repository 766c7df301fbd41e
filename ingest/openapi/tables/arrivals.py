"""Paths of arrivals. Data only."""

from typing import Literal

from common.access.policy import Action
from common.arrivals.arrival import Arrival
from common.roads.pace import Method
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.arrivals import AccuracyAnswer
from ingest.openapi.tables.drivers import AT, LATER, ORDER, ORDERS
from ingest.openapi.tables.insight import CSV, FLEET, SPAN, TABLE

ARRIVAL = {
    "order_id": "order_123", "driver_id": "driver-7", "arrival_at": LATER, "remaining_s": 420,
    "remaining_m": 2310, "low_s": 340, "high_s": 560, "method": "history", "computed_at": AT,
    "position_age_s": 2.1,
}  # fmt: skip
COUNTS = {
    "predictions": 1840, "orders": 212, "error_mean_s": 84.0, "error_p50_s": 61.2,
    "error_p90_s": 178.5, "bias_s": -12.4, "coverage": 0.81,
}  # fmt: skip

READ = Operation(
    "get", f"{ORDERS}/{{order_id}}/arrival", "readArrival", "Orders", "When the driver arrives",
    "`low_s` to `high_s` after `computed_at` holds 80 % of arrivals. `method` says how it was "
    "worked out: on the roads, from the fleet's own trips (`history`), or by the straight line. "
    "The way leads over the pick-up until that is done. 404 without a drop-off or a position of "
    "the order's driver; 409 when the order is over.",
    answers={200: answer("The arrival.", Arrival, ARRIVAL)},
    errors=(404, 409, 422, 503),
    params=(ORDER,),
    action=Action.READ_ORDER,
)  # fmt: skip
ACCURACY = Operation(
    "get", f"{FLEET}/arrivals/accuracy", "readArrivalAccuracy", "Statistics",
    "How right arrivals were",
    "Of orders that were delivered in the span: what was said of each, once a minute, against when "
    "its driver came to the drop-off, by the minutes that remained. Everything was said before, by "
    "what was known then.",
    answers={200: Answer("The span, or its days.", {
        JSON: Media(AccuracyAnswer, {
            "start_time": AT, "end_time": LATER, "group": "none", "method": None,
            "accuracy": [{"minutes_from": 5, "minutes_to": 10, **COUNTS}], "total": COUNTS,
        }),
        CSV: Media(None, "minutes_from,minutes_to,predictions,orders\r\n"),
    }, {})},
    errors=(422, 503),
    params=(
        *SPAN,
        Param("group", Literal["none", "day"], "Default: none; days of UTC.", "day"),
        Param("method", Method, "Only what was worked out so.", "history"),
        TABLE,
    ),
    action=Action.READ_FLEET,
)  # fmt: skip

OPERATIONS = (READ, ACCURACY)
