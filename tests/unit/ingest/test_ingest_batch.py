import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.event import TimeLimits, decode_event
from ingest.intake.batch import ERRORS_MAX, errors_listed, validate_batch
from ingest.intake.clock import Clock
from ingest.intake.validate import Validator, Verdicts

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


def validated(body: bytes, fixes_max: int = 1000, clock: Clock | None = None) -> Verdicts:
    verdicts = Verdicts()
    for _ in validate_batch(body, fixes_max, Validator(clock or Clock(), LIMITS), verdicts):
        pass
    return verdicts


def run(items: object, fixes_max: int = 1000) -> Verdicts:
    return validated(json.dumps(items).encode(), fixes_max)


@pytest.mark.parametrize("shape", [lambda x: x, lambda x: {"locations": x, "other": 1}])
def test_both_shapes_of_a_body_are_one(shape: Any) -> None:
    verdicts = run(shape([GOOD, {**GOOD, "driver_id": "e"}]))
    assert [driver for driver, _ in verdicts.fixes] == ["d", "e"]
    assert not verdicts.rejected


def test_each_fix_is_verdicts_alone_and_every_field_is_named() -> None:
    verdicts = run(
        [
            {**GOOD, "recorded_at": "1999-01-01T00:00:00Z"},
            GOOD,
            {"driver_id": "a b", "latitude": 91},
            17,
        ]
    )
    assert len(verdicts.fixes) == 1
    assert len(verdicts.rejected) == 3
    assert [(e["index"], e["field"]) for e in errors_listed(verdicts)] == [
        (0, "recorded_at"),
        (2, "latitude"),
        (2, "longitude"),
        (2, "driver_id"),
        (3, ""),
    ]


def test_undated_fixes_are_a_microsecond_apart_and_none_lies_in_the_future() -> None:
    verdicts = run([GOOD, {**GOOD, "recorded_at": "2020-01-01T00:00:00Z"}, GOOD, GOOD])
    events = [decode_event(event) for _, event in verdicts.fixes]
    assert len(events) == 3
    times = [event.recorded_at for event in events]
    assert times == sorted(set(times))
    assert times[2] - times[1] == timedelta(microseconds=1)
    assert {event.received_at for event in events} == {times[-1]}


def test_two_bodies_never_share_a_time() -> None:
    clock = Clock()
    body = json.dumps([GOOD] * 100).encode()
    bodies = [validated(body, 1000, clock) for _ in range(3)]
    times = {decode_event(event).recorded_at for verdicts in bodies for _, event in verdicts.fixes}
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
        validated(body, 2)
    assert caught.value.status == status


def test_bytes_that_are_no_text_refuse_their_fix_alone() -> None:
    good = json.dumps(GOOD).encode()
    body = b'[{"driver_id":"\xff","latitude":1,"longitude":2},' + good + b"]"
    verdicts = validated(body, 2)
    assert (len(verdicts.fixes), len(verdicts.rejected)) == (1, 1)
    assert errors_listed(verdicts)[0]["field"] == "driver_id"


def test_one_fix_too_many_is_refused_whole() -> None:
    assert len(run([GOOD] * 3, 3).fixes) == 3
    with pytest.raises(InvalidUpdate, match="at most"):
        run([GOOD] * 4, 3)


@given(items=st.lists(ITEMS, min_size=1, max_size=6))
def test_every_fix_is_either_stored_or_explained(items: list[Any]) -> None:
    try:
        verdicts = run(items)
    except InvalidUpdate as e:
        # NaN and Infinity, which Python writes, are no JSON.
        assert e.status == 400
        return
    explained = {error["index"] for error in errors_listed(verdicts)}
    assert len(verdicts.fixes) + len(verdicts.rejected) == len(items)
    assert len(explained) == len(verdicts.rejected)
    for driver, event in verdicts.fixes:
        decoded = decode_event(event)
        assert decoded.driver_id == driver
        assert decoded.received_at <= datetime.now(UTC) + timedelta(milliseconds=1)


@given(body=st.binary(max_size=60))
def test_bytes_are_never_more_than_refused(body: bytes) -> None:
    try:
        validated(body, 10)
    except InvalidUpdate as e:
        assert e.status in (400, 422)


def test_the_errors_are_bounded_and_the_count_is_right() -> None:
    """A thousand broken fixes in 231 KB were answered by 748 KB after 0.17 s."""
    broken = {"driver_id": "d", "latitude": 91}
    verdicts = run([GOOD, *[broken] * 998, GOOD])
    assert (len(verdicts.fixes), len(verdicts.rejected)) == (2, 998)
    assert verdicts.indexes() == [0, 999]
    assert len(errors_listed(verdicts)) == ERRORS_MAX
    assert {r.driver_id for r in verdicts.rejected} == {"d"}


def test_a_broken_fix_past_the_bound_still_refuses_a_body_that_is_no_json() -> None:
    items = ",".join(['{"latitude":91}'] * (ERRORS_MAX + 5) + ['{"latitude":91,"x\\y":1}'])
    with pytest.raises(InvalidUpdate) as caught:
        validated(f"[{items}]".encode())
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"driver_id": "other", "latitude": 91}, {"other"}),
        ({**GOOD, "driver_id": "other", "recorded_at": 1}, {"other"}),
        ({"driver_id": "a b", "latitude": 1, "longitude": 2}, set()),
        ({"driver_id": 5}, set()),
        ({}, set()),
        (7, set()),
    ],
)
def test_a_broken_fix_is_still_one_of_the_driver_that_it_names(item: Any, named: set[str]) -> None:
    assert run([GOOD, item]).drivers() == {"d"} | named


def test_long_work_pauses() -> None:
    def pauses(items: object) -> int:
        work = validate_batch(
            json.dumps(items).encode(), 1000, Validator(Clock(), LIMITS), Verdicts()
        )
        return sum(1 for _ in work)

    assert pauses([GOOD]) == 0
    assert pauses([GOOD] * 1000) == 4
    assert pauses([{}] * 1000) >= 10
