import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.event import Clock, TimeLimits, decode_event
from ingest.intake.batch import Judged, judge

LIMITS = TimeLimits(86_400, 30 * 86_400)
GOOD: dict[str, Any] = {"driver_id": "d", "latitude": 1.5, "longitude": 2.5}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ITEMS = st.one_of(
    st.just(GOOD),
    JSON,
    st.fixed_dictionaries(
        {"driver_id": JSON, "latitude": JSON, "longitude": JSON},
        optional={"recorded_at": JSON, "heading": JSON, "order_id": JSON},
    ),
)


def run(items: object, fixes_max: int = 1000) -> Judged:
    return judge(json.dumps(items).encode(), fixes_max, Clock(), LIMITS)


@pytest.mark.parametrize("shape", [lambda x: x, lambda x: {"locations": x, "other": 1}])
def test_both_shapes_of_a_body_are_one(shape: Any) -> None:
    judged = run(shape([GOOD, {**GOOD, "driver_id": "e"}]))
    assert [driver for driver, _ in judged.events] == ["d", "e"]
    assert judged.rejected == 0


def test_each_fix_is_judged_alone_and_every_field_is_named() -> None:
    judged = run(
        [
            {**GOOD, "recorded_at": "1999-01-01T00:00:00Z"},
            GOOD,
            {"driver_id": "a b", "latitude": 91},
            17,
        ]
    )
    assert len(judged.events) == 1
    assert judged.rejected == 3
    assert [(e["index"], e["field"]) for e in judged.errors] == [
        (0, "recorded_at"),
        (2, "latitude"),
        (2, "longitude"),
        (2, "driver_id"),
        (3, ""),
    ]


def test_undated_fixes_are_a_microsecond_apart_and_none_lies_in_the_future() -> None:
    judged = run([GOOD, {**GOOD, "recorded_at": "2020-01-01T00:00:00Z"}, GOOD, GOOD])
    events = [decode_event(event) for _, event in judged.events]
    assert len(events) == 3
    times = [event.recorded_at for event in events]
    assert times == sorted(set(times))
    assert times[2] - times[1] == timedelta(microseconds=1)
    assert {event.received_at for event in events} == {times[-1]}


def test_two_bodies_never_share_a_time() -> None:
    clock = Clock()
    body = json.dumps([GOOD] * 100).encode()
    judged = [judge(body, 1000, clock, LIMITS) for _ in range(3)]
    times = {decode_event(event).recorded_at for j in judged for _, event in j.events}
    assert len(times) == 300


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[", 400),
        (b"\xff", 400),
        (b'[{"driver_id":"d","latitude":1,"longitude":2},]', 400),
        (b"[" * 100_000, 400),
        (b"7", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"locations":null}', 422),
        (b'{"locations":[]}', 422),
        (b"[1,1,1]", 422),
    ],
)
def test_a_body_that_is_none_is_refused_whole(body: bytes, status: int) -> None:
    with pytest.raises(InvalidUpdate) as caught:
        judge(body, 2, Clock(), LIMITS)
    assert caught.value.status == status


def test_bytes_that_are_no_text_refuse_their_fix_alone() -> None:
    good = json.dumps(GOOD).encode()
    body = b'[{"driver_id":"\xff","latitude":1,"longitude":2},' + good + b"]"
    judged = judge(body, 2, Clock(), LIMITS)
    assert (len(judged.events), judged.rejected) == (1, 1)
    assert judged.errors[0]["field"] == "driver_id"


def test_one_fix_too_many_is_refused_whole() -> None:
    assert len(run([GOOD] * 3, 3).events) == 3
    with pytest.raises(InvalidUpdate, match="at most"):
        run([GOOD] * 4, 3)


@given(items=st.lists(ITEMS, min_size=1, max_size=6))
def test_every_fix_is_either_stored_or_explained(items: list[Any]) -> None:
    try:
        judged = run(items)
    except InvalidUpdate as e:
        # NaN and Infinity, which Python writes, are no JSON.
        assert e.status == 400
        return
    explained = {error["index"] for error in judged.errors}
    assert len(judged.events) + judged.rejected == len(items)
    assert len(explained) == judged.rejected
    for driver, event in judged.events:
        decoded = decode_event(event)
        assert decoded.driver_id == driver
        assert decoded.received_at <= datetime.now(UTC) + timedelta(milliseconds=1)


@given(body=st.binary(max_size=60))
def test_bytes_are_never_more_than_refused(body: bytes) -> None:
    try:
        judge(body, 10, Clock(), LIMITS)
    except InvalidUpdate as e:
        assert e.status in (400, 422)
