"""Answers about arrivals, as types that the document describes."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.arrivals.arrival import Arrival
from common.roads.pace import Method
from ingest.openapi.shapes.insight import Amount

Error = Annotated[float, Meta(ge=0, description="seconds")]
Bias = Annotated[float, Meta(description="seconds; above 0: drivers came earlier than said")]
Coverage = Annotated[
    float, Meta(ge=0, le=1, description="share that `low_s` to `high_s` held; meant: 0.8")
]


class ArrivalFrame(msgspec.Struct):
    """When the order's driver arrives; after the first position, and when it moved."""

    type: Literal["arrival"]
    data: Arrival


class AccuracyCounts(msgspec.Struct):
    """Predictions against when the driver was at the drop-off; null where nothing was said."""

    predictions: Amount
    orders: Amount
    error_mean_s: Error | None
    error_p50_s: Error | None
    error_p90_s: Error | None
    bias_s: Bias | None
    coverage: Coverage | None


class AccuracyClass(AccuracyCounts, kw_only=True):
    """Those with so many minutes to go, in truth; the last class has no end."""

    minutes_from: Amount
    minutes_to: Amount | None


class AccuracyDay(msgspec.Struct):
    """Orders that arrived on a day of UTC."""

    day: date
    accuracy: list[AccuracyClass]
    total: AccuracyCounts


class AccuracyAnswer(msgspec.Struct):
    """The whole span, or, with `group=day`, its days."""

    start_time: datetime
    end_time: datetime
    group: Literal["none", "day"]
    method: Method | None
    accuracy: list[AccuracyClass] | msgspec.UnsetType = msgspec.UNSET
    total: AccuracyCounts | msgspec.UnsetType = msgspec.UNSET
    days: list[AccuracyDay] | msgspec.UnsetType = msgspec.UNSET
