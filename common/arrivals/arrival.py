"""When an order's driver arrives, as it is stored, shown and sent to customers. Pure.

It is encoded once, as the frame that customers get; Redis keeps those bytes for who connects later
and for who asks. So the age of the position is that of the time of computing, and whoever shows the
arrival later adds what has passed since.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import orjson

from common.event import MALFORMED
from common.frame import ARRIVAL_PREFIX, ARRIVAL_SUFFIX
from common.roads.pace import Method


class Rest(NamedTuple):
    """What is left of a way: seconds, the ends of their interval, metres on the way."""

    seconds: float
    low_s: float
    high_s: float
    metres: float
    method: Method


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """When it is expected; 80 % arrive `low_s` to `high_s` after `computed_at`. Times are UTC."""

    order_id: str
    driver_id: str
    arrival_at: datetime
    remaining_s: float
    remaining_m: float
    low_s: float
    high_s: float
    method: Method
    computed_at: datetime
    position_age_s: float

    @property
    def earliest(self) -> datetime:
        """The early end of the interval."""
        return self.computed_at + timedelta(seconds=self.low_s)

    @property
    def latest(self) -> datetime:
        """The late end."""
        return self.computed_at + timedelta(seconds=self.high_s)


def arrival_of(
    order_id: str, driver_id: str, rest: Rest, position_at: datetime, now: datetime
) -> Arrival:
    """The arrival that `rest` means, which is what was left at `position_at`.

    While a phone is silent its driver drives on: what has passed since then is not left any more.
    """
    computed_at = now.replace(microsecond=0)
    age_s = max(0.0, (computed_at - position_at).total_seconds())
    remaining_s, low_s, high_s = (
        float(round(max(0.0, seconds - age_s)))
        for seconds in (rest.seconds, rest.low_s, rest.high_s)
    )
    return Arrival(
        order_id=order_id,
        driver_id=driver_id,
        arrival_at=computed_at + timedelta(seconds=remaining_s),
        remaining_s=remaining_s,
        remaining_m=float(round(rest.metres)),
        low_s=low_s,
        high_s=high_s,
        method=rest.method,
        computed_at=computed_at,
        position_age_s=round(age_s, 1),
    )


def aged(arrival: Arrival, now: datetime) -> Arrival:
    """The same arrival, with the age that its position has by now."""
    since_s = max(0.0, (now - arrival.computed_at).total_seconds())
    return msgspec.structs.replace(
        arrival, position_age_s=round(arrival.position_age_s + since_s, 1)
    )


def facts_of_arrival(arrival: Arrival) -> dict[str, object]:
    """The public object."""
    return msgspec.structs.asdict(arrival)


def encode_arrival(arrival: Arrival) -> bytes:
    """The frame of an order's socket, which is also what Redis keeps."""
    facts = orjson.dumps(facts_of_arrival(arrival), option=orjson.OPT_UTC_Z)
    return ARRIVAL_PREFIX + facts + ARRIVAL_SUFFIX


_decode = msgspec.json.Decoder(Arrival).decode


def decode_arrival(frame: bytes | None) -> Arrival | None:
    """The arrival in such a frame; None where there is none, or something made by hand."""
    if frame is None or not frame.startswith(ARRIVAL_PREFIX):
        return None
    try:
        return _decode(frame[len(ARRIVAL_PREFIX) : -len(ARRIVAL_SUFFIX)])
    except MALFORMED:
        return None
