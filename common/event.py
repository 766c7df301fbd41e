"""The event: a driver's update, validated once and encoded once.

A `LocationUpdate` is what a driver sent. Together with the driver's id and two times it becomes
the event, whose JSON bytes are made here, once, and travel unchanged: they are a line of a pack,
the live value and the middle of the customers' frame. Pure: no I/O, the caller brings the time.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from common.errors import Fault, InvalidUpdate, PoisonEntry
from common.ids import ID_DETAIL, ID_PATTERN, ID_TEXT, is_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIME_MIN, TIME_MAX = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
# Numbers below are epoch seconds, from here on milliseconds: 1e11 s is the year 5138, 1e11 ms is
# 1973, so no time that can be accepted is ambiguous.
EPOCH_MS_FROM = 100_000_000_000


Id = Annotated[str, Meta(pattern=ID_PATTERN, description=ID_TEXT)]
# The same as it is sent with a fix. Its characters are left to `is_id`: that is done in a third of
# the time that msgspec takes for a pattern, which was two thirds of reading a fix.
_PATTERN_TOLD = {"pattern": ID_PATTERN, "description": ID_TEXT}
SentId = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_PATTERN_TOLD)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
NotNegative = Annotated[float, Meta(ge=0)]
Heading = Annotated[float, Meta(ge=0, le=360)]
Timestamp = Annotated[datetime, Meta(tz=True)] | int | float | None
StoredTime = Annotated[datetime, Meta(tz=True)]
StoredId = Annotated[str, Meta(min_length=1, max_length=64)]


class LocationUpdate(msgspec.Struct, gc=False):
    """What a driver sent: WGS84 degrees, km/h, degrees from north, metres."""

    latitude: Latitude
    longitude: Longitude
    speed: NotNegative | None = None
    heading: Heading | None = None
    accuracy: NotNegative | None = None
    order_id: SentId | None = None
    recorded_at: Timestamp = None
    altitude: float | None = None
    battery: Annotated[float, Meta(ge=0, le=100)] | None = None


class DriverUpdate(LocationUpdate, gc=False, kw_only=True):
    """An item of a batch: an update that names its driver."""

    driver_id: SentId


class LocationEvent(msgspec.Struct, gc=False, kw_only=True):
    """An event as consumers read it. Times are UTC; absent values are None.

    Its fields are the columns of the history, by name and in the order of a row; what reads or
    writes rows takes them from COLUMNS. The first two identify a fix.
    """

    driver_id: StoredId
    recorded_at: StoredTime
    latitude: Latitude
    longitude: Longitude
    speed: float | None = None
    heading: float | None = None
    accuracy: float | None = None
    order_id: StoredId | None = None
    received_at: StoredTime
    altitude: float | None = None
    battery: float | None = None


COLUMNS: tuple[str, ...] = LocationEvent.__struct_fields__


class Moment(msgspec.Struct, gc=False):
    """Only the times of an event: enough to tell which of two is newer."""

    recorded_at: StoredTime
    received_at: StoredTime


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far a device's time may be from ours, in seconds."""

    future_max_s: float
    age_max_s: float
    # The earliest and the latest time, counted from now.
    earliest: timedelta = field(init=False)
    latest: timedelta = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "earliest", timedelta(seconds=-self.age_max_s))
        object.__setattr__(self, "latest", timedelta(seconds=self.future_max_s))


_decode_update = msgspec.json.Decoder(LocationUpdate).decode
_decode_event = msgspec.json.Decoder(LocationEvent).decode
_decode_events = msgspec.json.Decoder(LocationEvent).decode_lines
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_moment = msgspec.json.Decoder(Moment).decode

# What msgspec raises on bytes that are not JSON; deep nesting is a RecursionError.
MALFORMED = (msgspec.DecodeError, RecursionError, UnicodeError)


def decode_update(body: bytes) -> LocationUpdate:
    """Read and validate one update.

    Raises `InvalidUpdate`: 400 for bytes that are not JSON, 422 with every field at fault.
    """
    try:
        update = _decode_update(body)
    except MALFORMED as e:
        raise invalid(body, LocationUpdate) from e
    if update.order_id is not None and not is_id(update.order_id):
        raise invalid(body, LocationUpdate)
    return update


def has_ids(update: DriverUpdate) -> bool:
    """Whether the ids of an update that was decoded may be ids."""
    return is_id(update.driver_id) and (update.order_id is None or is_id(update.order_id))


def invalid(body: bytes | msgspec.Raw, kind: type[LocationUpdate]) -> InvalidUpdate:
    """Say all that is wrong with `body`, which has been refused as a `kind`. Not a hot path."""
    try:
        # What is no object may be no JSON either, which is said first.
        value = _decode_fields(_decode_any(body))
    except msgspec.ValidationError:
        return InvalidUpdate("the body must be a JSON object")
    except MALFORMED as e:
        return InvalidUpdate(f"the body is not JSON: {e}", status=400)
    faults = tuple(_faults(value, kind))
    if not faults:
        # A name given twice, once wrong: above the last one counts, here any.
        try:
            msgspec.json.decode(body, type=kind)
        except MALFORMED as e:
            name = str(e).rpartition(" - at `$.")[2].rstrip("`")
            faults = (Fault(name, _detail(name, str(e))),)
    return InvalidUpdate("; ".join(f"{f.field}: {f.detail}" for f in faults), faults=faults)


# Types with all that is asked of a member.
_STRICT: dict[str, Any] = {"driver_id": Id, "order_id": Id | None}


def _faults(value: dict[str, msgspec.Raw], kind: type[LocationUpdate]) -> list[Fault]:
    faults = []
    for member in msgspec.structs.fields(kind):
        if member.name not in value:
            if member.required:
                faults.append(Fault(member.name, "is required"))
            continue
        try:
            msgspec.json.decode(value[member.name], type=_STRICT.get(member.name, member.type))
        except MALFORMED as e:
            faults.append(Fault(member.name, _detail(member.name, str(e))))
    return faults


def _detail(name: str, message: str) -> str:
    if "regex" in message or name in {"driver_id", "order_id"}:
        return ID_DETAIL
    if name == "recorded_at":
        return "must be RFC 3339 with an offset, epoch seconds or epoch milliseconds"
    return message.split(" - at `", maxsplit=1)[0].replace(" | null", "").replace("`", "")


def recorded_time(stamp: Timestamp, now: datetime, limits: TimeLimits) -> datetime:
    """The device's time of a fix in UTC, to the microsecond; `now` where it sent none.

    It is part of the fix's identity: the same stamp always gives the same time. Raises
    `InvalidUpdate` when it lies beyond `limits`.
    """
    if stamp is None:
        return now
    try:
        when = _utc(stamp)
    except (OverflowError, ValueError) as e:
        raise _bad_time("is not a time") from e
    since = when - now
    if since > limits.latest:
        raise _bad_time(f"lies more than {limits.future_max_s:.0f} s in the future")
    if since < limits.earliest:
        raise _bad_time(f"is older than {limits.age_max_s:.0f} s")
    return when


def _utc(stamp: datetime | float) -> datetime:
    if isinstance(stamp, datetime):
        return stamp if stamp.tzinfo is UTC else stamp.astimezone(UTC)
    unit_us = 1_000_000 if abs(stamp) < EPOCH_MS_FROM else 1_000
    return EPOCH + timedelta(microseconds=round(stamp * unit_us))


def _bad_time(detail: str) -> InvalidUpdate:
    return InvalidUpdate(f"recorded_at: {detail}", faults=(Fault("recorded_at", detail),))


def encode_event(
    driver_id: str, update: LocationUpdate, recorded_at: datetime, received_at: datetime
) -> bytes:
    """The event's JSON bytes, which clients are given as they are. A heading of 360 becomes 0."""
    event = {
        "driver_id": driver_id,
        "latitude": update.latitude,
        "longitude": update.longitude,
        "speed": update.speed,
        "heading": 0.0 if update.heading == 360 else update.heading,
        "accuracy": update.accuracy,
        "order_id": update.order_id,
        "recorded_at": recorded_at,
        "received_at": received_at,
    }
    if update.altitude is not None:
        event["altitude"] = update.altitude
    if update.battery is not None:
        event["battery"] = update.battery
    return orjson.dumps(event, option=orjson.OPT_UTC_Z)


def decode_event(line: bytes) -> LocationEvent:
    """Read an event's bytes. Raises `PoisonEntry` when they are not one that ingest can have made.

    Only what does harm is looked at, because somebody else may write to the stream: a time without
    a zone cannot be compared, one longitude of 500 makes Redis refuse the positions of all drivers
    beside it, an index has no room for a long id, and a year 1 with an offset has no day in UTC.
    """
    try:
        event = _decode_event(line)
    except MALFORMED as e:
        raise PoisonEntry("undecodable", str(e)) from e
    if _has_days(event):
        return event
    raise PoisonEntry("undecodable", "a time that has no day in UTC")


def decode_events(pack: bytes, count: int) -> list[LocationEvent] | None:
    """Read a pack of `count` lines at once; None when they are not one event each, in any way."""
    try:
        events = _decode_events(pack)
    except MALFORMED:
        return None
    # A line break between these two stands in no JSON text, so it divides two events.
    lines = pack.count(b"}\n{") + 1
    return events if len(events) == lines == count and all(map(_has_days, events)) else None


def _has_days(event: LocationEvent) -> bool:
    return TIME_MIN <= event.recorded_at <= TIME_MAX and TIME_MIN <= event.received_at <= TIME_MAX


def effective_time(event: LocationEvent | Moment) -> tuple[datetime, datetime]:
    """What decides which of two events is newer: greater is newer, equal is the same fix.

    A fix counts as of its own time, but never as of a time after its arrival, so one dated in
    the future cannot freeze the marker. Among fixes that arrived together the device's own time
    decides.
    """
    recorded = event.recorded_at
    return (min(event.received_at, recorded), recorded)


def moment_of(entry: bytes) -> tuple[datetime, datetime]:
    """`effective_time` of an event's bytes. Raises `PoisonEntry`."""
    try:
        return effective_time(_decode_moment(entry))
    except MALFORMED as e:
        raise PoisonEntry("undecodable", str(e)) from e
