"""The frames a customer gets: the event's bytes inside a constant prefix and suffix.

On an order's channel travel an event's bytes, a whole frame, or a message for the fan-out alone.
The latter two start with their type, an event with its driver, so one look at the first bytes
tells them apart.
"""

from datetime import datetime

import orjson

UPDATE_PREFIX = b'{"type":"location_update","data":'
UPDATE_SUFFIX = b"}"
# An event starts with this (encode_event keeps that order), a control frame with the other.
DRIVER_PREFIX = b'{"driver_id":"'
CONTROL_PREFIX = b'{"type":'
ENDED_PREFIX = b'{"type":"tracking_ended"'
DRIVER_SET_PREFIX = b'{"type":"driver_set"'
# An arrival (`common.arrivals.arrival`): a whole frame, which names the order and its driver first.
ARRIVAL_PREFIX = b'{"type":"arrival","data":'
ARRIVAL_SUFFIX = b"}"
_COMPUTED_AT = b'"computed_at":"'
# Up to the Z, with or without a fraction of the second.
_TIME_BYTES_MAX = 27


def update_frame(event: bytes) -> bytes:
    """The `location_update` frame around an event's bytes."""
    return UPDATE_PREFIX + event + UPDATE_SUFFIX


def ended_frame(order_id: str) -> bytes:
    """The `tracking_ended` frame, which is also what is published on the order's channel."""
    return orjson.dumps({"type": "tracking_ended", "data": {"order_id": order_id}})


def order_message(order_id: str, driver_id: str | None) -> bytes:
    """What the fan-out is told when an order changes: whose positions may be shown from now on."""
    data = {"order_id": order_id, "driver_id": driver_id}
    return orjson.dumps({"type": "driver_set", "data": data})


def driver_set_in(message: bytes) -> str | None:
    """The driver in an `order_message`; None where it names none, or somebody made it by hand."""
    try:
        return str(orjson.loads(message)["data"]["driver_id"] or "") or None
    except (ValueError, KeyError, TypeError):
        return None


def is_of_driver(event: bytes, driver_id: str) -> bool:
    """Whether an event's bytes are of this driver."""
    return event.startswith(DRIVER_PREFIX + driver_id.encode() + b'"')


def is_arrival_of(frame: bytes, driver_prefix: bytes) -> bool:
    """Whether an arrival's frame is of the driver whose events begin with `driver_prefix`."""
    # The order's id stands before it, and holds no quotes.
    return frame.find(b"," + driver_prefix[1:]) > 0


def computed_at(frame: bytes) -> datetime | None:
    """When an arrival's frame was computed; None for what somebody made by hand."""
    begin = frame.rfind(_COMPUTED_AT) + len(_COMPUTED_AT)
    end = frame.find(b'"', begin, begin + _TIME_BYTES_MAX + 1)
    try:
        when = datetime.fromisoformat(frame[begin:end].decode("ascii"))
    except ValueError:
        return None
    return when if when.tzinfo is not None else None
