"""The event: validation, identity, one encoding."""

import json
import re
from datetime import UTC, datetime, timedelta

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate, PoisonEntry
from common.event import (
    LocationUpdate,
    TimeLimits,
    decode_event,
    decode_update,
    effective_time,
    encode_event,
    moment_of,
    recorded_time,
)
from common.ids import is_id
from ingest.intake.clock import Clock

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LIMITS = TimeLimits(future_max_s=86_400, age_max_s=30 * 86_400)

ids = st.text("ABCxyz019._:-", min_size=1, max_size=64).filter(is_id)
finite = st.floats(allow_nan=False, allow_infinity=False)
updates = st.builds(
    LocationUpdate,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    speed=st.none() | st.floats(0, 1e6),
    heading=st.none() | st.floats(0, 360),
    accuracy=st.none() | st.floats(0, 1e6),
    order_id=st.none() | ids,
    altitude=st.none() | st.floats(-500, 9000),
    battery=st.none() | st.floats(0, 100),
)
moments = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2030, 1, 1),
    timezones=st.just(UTC),
)


@given(ids, updates, moments, moments)
def test_what_is_encoded_is_decoded(driver_id, update, recorded_at, received_at):
    event = decode_event(encode_event(driver_id, update, recorded_at, received_at))
    assert (event.driver_id, event.order_id) == (driver_id, update.order_id)
    assert (event.recorded_at, event.received_at) == (recorded_at, received_at)
    assert (event.latitude, event.longitude) == (update.latitude, update.longitude)
    assert event.heading == (0 if update.heading == 360 else update.heading)
    assert (event.altitude, event.battery) == (update.altitude, update.battery)


@given(ids, updates, moments, moments)
def test_the_moment_of_the_bytes_is_that_of_the_event(driver_id, update, recorded_at, received_at):
    payload = encode_event(driver_id, update, recorded_at, received_at)
    assert moment_of(payload) == effective_time(decode_event(payload))


def test_the_bytes_are_the_public_object():
    update = decode_update(b'{"latitude":40.5,"longitude":-74,"heading":360,"order_id":"o1"}')
    assert encode_event("d1", update, NOW, NOW) == (
        b'{"driver_id":"d1","latitude":40.5,"longitude":-74.0,"speed":null,"heading":0.0,'
        b'"accuracy":null,"order_id":"o1","recorded_at":"2026-01-02T03:04:05.678901Z",'
        b'"received_at":"2026-01-02T03:04:05.678901Z"}'
    )


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        (b"", 400, []),
        (b"{", 400, []),
        (b'{"latitude":NaN,"longitude":1}', 400, []),
        (b'{"latitude":1,"longitude":1,"x":' + b"[" * 100_000, 400, []),
        # What broke: no JSON at all was called a value of the wrong kind.
        (b"[", 400, []),
        (b'[1 "b"]', 400, []),
        (b"7a", 400, []),
        (b"[" * 100_000, 400, []),
        (b"[]", 422, []),
        (b"7", 422, []),
        (b"{}", 422, ["latitude", "longitude"]),
        (b'{"latitude":91,"longitude":181}', 422, ["latitude", "longitude"]),
        (b'{"latitude":1e999,"longitude":0}', 422, ["latitude"]),
        (b'{"latitude":true,"longitude":"0"}', 422, ["latitude", "longitude"]),
        (b'{"latitude":0,"longitude":0,"speed":-1}', 422, ["speed"]),
        (b'{"latitude":0,"longitude":0,"heading":360.1}', 422, ["heading"]),
        (b'{"latitude":0,"longitude":0,"accuracy":-0.1}', 422, ["accuracy"]),
        (b'{"latitude":0,"longitude":0,"order_id":""}', 422, ["order_id"]),
        (b'{"latitude":0,"longitude":0,"order_id":"a\\n"}', 422, ["order_id"]),
        (b'{"latitude":0,"longitude":0,"order_id":7}', 422, ["order_id"]),
        (b'{"latitude":0,"longitude":0,"recorded_at":"yesterday"}', 422, ["recorded_at"]),
        (b'{"latitude":0,"longitude":0,"recorded_at":"2026-01-01T00:00:00"}', 422, ["recorded_at"]),
        (b'{"latitude":0,"longitude":0,"recorded_at":false}', 422, ["recorded_at"]),
        # What broke: a name given twice, wrong and then right, was refused without its name.
        (b'{"latitude":91,"longitude":0,"latitude":0}', 422, ["latitude"]),
        (b'{"latitude":0,"longitude":0,"order_id":"","order_id":"a"}', 422, ["order_id"]),
        (b'{"latitude":0,"longitude":0,"recorded_at":"","recorded_at":1}', 422, ["recorded_at"]),
    ],
)
def test_what_is_refused(body, status, fields):
    with pytest.raises(InvalidUpdate) as refused:
        decode_update(body)
    assert refused.value.status == status
    assert [fault.field for fault in refused.value.faults] == fields


@given(st.binary(max_size=200) | st.builds(orjson.dumps, st.recursive(
    st.none() | st.booleans() | finite | st.text(max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(["latitude", "longitude", "order_id", "recorded_at", "heading"]), inner
    ),
)))  # fmt: skip
def test_any_body_is_taken_or_refused_with_a_reason(body):
    try:
        update = decode_update(body)
    except InvalidUpdate as refused:
        assert refused.status in {400, 422}
        assert refused.detail
    else:
        assert -90 <= update.latitude <= 90


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (None, NOW),
        (1_767_323_045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1_767_323_045_678, datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        (1_767_323_045.25, datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC)),
        (
            datetime.fromisoformat("2026-01-02T05:04:05+02:00"),
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
    ],
)
def test_times_of_devices(stamp, expected):
    assert recorded_time(stamp, NOW, LIMITS) == expected


@pytest.mark.parametrize("stamp", [0, -1, 1e300, -1e300, 4e12, 1_700_000_000_000_000])
def test_times_out_of_reach_are_refused(stamp):
    with pytest.raises(InvalidUpdate) as refused:
        recorded_time(stamp, NOW, LIMITS)
    assert refused.value.faults[0].field == "recorded_at"


def test_a_future_fix_counts_as_of_its_arrival():
    hour = timedelta(hours=1)
    ahead = msgspec.structs.replace(_event(NOW, NOW), recorded_at=NOW + hour)
    later = _event(NOW + timedelta(seconds=5), NOW + timedelta(seconds=5))
    assert effective_time(later) > effective_time(ahead)


def _event(recorded_at, received_at):
    update = LocationUpdate(latitude=1, longitude=2)
    return decode_event(encode_event("d", update, recorded_at, received_at))


@pytest.mark.parametrize("entry", [b"", b"{}", b"null", b'{"driver_id":1}', b"\xff\xfe"])
def test_entries_that_are_no_events_are_poison(entry):
    with pytest.raises(PoisonEntry):
        decode_event(entry)


@given(st.text(max_size=70))
def test_ids(text):
    allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
    plain = 1 <= len(text) <= 64 and all(c in allowed for c in text)
    assert is_id(text) == (plain and text not in {".", ".."})


@pytest.mark.parametrize("text", [".", ".."])
def test_a_step_in_a_path_is_no_id(text):
    """Clients and proxies take them out of an address, so nobody could ask for such a driver."""
    assert not is_id(text)
    for body in ({"order_id": text}, {"order_id": f"{text}x"}):
        data = json.dumps({"latitude": 1, "longitude": 2, **body}).encode()
        if body["order_id"] == text:
            with pytest.raises(InvalidUpdate, match=re.escape("not . or ..")):
                decode_update(data)
        else:
            assert decode_update(data).order_id == body["order_id"]


def test_the_clock_never_gives_a_time_twice():
    clock = Clock()
    times = [clock.take() for _ in range(1000)]
    first = clock.take(100)
    assert times == sorted(set(times))
    assert first > times[-1]
    assert clock.take() >= first + timedelta(microseconds=100)
