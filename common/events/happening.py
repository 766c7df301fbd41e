"""What happened, once: a driver entered a fence, an order was delivered. Pure.

Everything that the system tells others is a happening: it is a row of the table `events`, an
object of the feed, a frame of the events' socket and the body of a webhook's delivery, in the same
bytes each time. Its identity says what happened, not who found it out: whoever finds the same
again, after a crash or from a redelivered fix, makes the same `event_id`, and it is stored once.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from common.event import EPOCH, MICROSECOND


class HappeningType(StrEnum):
    """What can happen. The values are public, and never change their meaning."""

    FENCE_ENTER = "geofence.enter"
    FENCE_EXIT = "geofence.exit"
    FENCE_DWELL = "geofence.dwell"
    ORDER_ASSIGNED = "order.assigned"
    ORDER_AT_PICKUP = "order.at_pickup"
    ORDER_PICKED_UP = "order.picked_up"
    ORDER_ARRIVING = "order.arriving"
    ORDER_DELIVERED = "order.delivered"
    ORDER_CANCELLED = "order.cancelled"
    DRIVER_ONLINE = "driver.online"
    DRIVER_OFFLINE = "driver.offline"
    TRIP_ENDED = "trip.ended"
    WEBHOOK_DISABLED = "webhook.disabled"


class Happening(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One happening. Times are UTC.

    `at` is when it was found out, `recorded_at` the time of the fix that caused it (None where
    none did). `data` says more; its values are JSON's. `key` tells it from others of its type,
    driver, fence and order where the time of its fix does not; it is not published.
    """

    # A `HappeningType`; read back, perhaps one of a newer release.
    type: str
    driver_id: str | None = None
    order_id: str | None = None
    geofence_id: str | None = None
    at: datetime
    recorded_at: datetime | None = None
    data: dict[str, Any] = {}
    key: str = ""
    # Its identity; computed unless it is read back from the table.
    event_id: str = ""

    def __post_init__(self) -> None:
        if not self.event_id:
            msgspec.structs.force_setattr(self, "event_id", self._identity())

    def _identity(self) -> str:
        when = self.key or str(((self.recorded_at or self.at) - EPOCH) // MICROSECOND)
        # A line break stands in no id, so no two happenings have one text.
        text = "\n".join(
            (self.type, self.driver_id or "", self.geofence_id or "", self.order_id or "", when)
        )
        return f"evt_{blake2b(text.encode(), digest_size=16).hexdigest()}"

    def encode(self) -> bytes:
        """The public object: what the feed, the socket and the webhooks carry."""
        body: dict[str, Any] = {
            "event_id": self.event_id,
            "type": self.type,
            "driver_id": self.driver_id,
        }
        if self.geofence_id is not None:
            body["geofence_id"] = self.geofence_id
        if self.order_id is not None:
            body["order_id"] = self.order_id
        body["at"] = self.at
        body["recorded_at"] = self.recorded_at
        body["data"] = self.data
        return orjson.dumps(body, option=orjson.OPT_UTC_Z)
