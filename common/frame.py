"""The frames a customer gets: the event's bytes inside a constant prefix and suffix.

On an order's channel travel either an event's bytes or a whole frame. A whole frame starts with
its type, an event with its driver, so one look at the first bytes tells them apart.
"""

import orjson

UPDATE_PREFIX = b'{"type":"location_update","data":'
UPDATE_SUFFIX = b"}"
# An event starts with this (encode_event keeps that order), a control frame with the other.
DRIVER_PREFIX = b'{"driver_id":"'
CONTROL_PREFIX = b'{"type":'
ENDED_PREFIX = b'{"type":"tracking_ended"'


def update_frame(event: bytes) -> bytes:
    """The `location_update` frame around an event's bytes."""
    return UPDATE_PREFIX + event + UPDATE_SUFFIX


def ended_frame(order_id: str) -> bytes:
    """The `tracking_ended` frame, which is also what is published on the order's channel."""
    return orjson.dumps({"type": "tracking_ended", "data": {"order_id": order_id}})
