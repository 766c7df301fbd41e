"""Boxes and their states of the operators' stream."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.event import EPOCH
from fanout.fleet.box import (
    PIECE_DEGREES_MAX,
    Box,
    BoxState,
    BoxSubscription,
    parse_subscription,
    positions_frames,
    read_batch,
    read_events,
)
from tests.servers.fanout_server import T0, event

longitudes = st.floats(-180, 180)
latitudes = st.floats(-85, 85)


def test_parse_subscription() -> None:
    assert parse_subscription("1,2,3.5,4", None) == BoxSubscription(Box(1, 2, 3.5, 4), 1000)
    assert parse_subscription("1, 2, 3.5, 4", None).box == Box(1, 2, 3.5, 4)
    assert parse_subscription("170,-1,-170,1", "7") == BoxSubscription(Box(170, -1, -170, 1), 7)


@pytest.mark.parametrize(
    ("bbox", "count", "fields"),
    [
        (None, None, ["bbox"]),
        ("", "0", ["bbox", "n"]),
        ("1,2,3", None, ["bbox"]),
        ("1,2,3,4,5", None, ["bbox"]),
        ("a,2,3,4", None, ["bbox"]),
        ("nan,2,3,4", None, ["bbox"]),
        ("1,2,3,inf", None, ["bbox"]),
        ("181,2,3,4", None, ["bbox"]),
        ("1,-91,3,4", None, ["bbox"]),
        ("1,5,3,4", None, ["bbox"]),
        # What broke: Python's own `float` takes more than a number.
        ("1_0,2,33,4", None, ["bbox"]),
        ("٣,2,33,4", None, ["bbox"]),
        ("1,2,3,4", "-1", ["n"]),
        ("1,2,3,4", "5001", ["n"]),
        ("1,2,3,4", "²", ["n"]),
    ],
)
def test_refused_boxes(bbox: str | None, count: str | None, fields: list[str]) -> None:
    with pytest.raises(InvalidUpdate) as refused:
        parse_subscription(bbox, count)
    assert [fault.field for fault in refused.value.faults] == fields
    assert refused.value.status == 422


@given(
    st.builds(Box, longitudes, latitudes, longitudes, latitudes).filter(
        lambda box: box.south <= box.north
    ),
    longitudes,
    latitudes,
)
def test_pieces_cover_the_box_and_searches_cover_the_pieces(
    box: Box, longitude: float, latitude: float
) -> None:
    pieces = list(box.pieces())
    inside = [piece for piece in pieces if piece.holds(latitude, longitude)]
    assert inside or not box.holds(latitude, longitude)
    for piece in pieces:
        assert 0 <= piece.east - piece.west <= PIECE_DEGREES_MAX + 1e-9
    for piece in inside:
        lon, lat, width_m, height_m = piece.search()
        per_degree = math.pi / 180 * 6_372_797.560856
        assert abs(latitude - lat) * per_degree <= height_m / 2
        # Redis measures along the great circle, which is never longer than the parallel.
        along = abs(longitude - lon) * per_degree * math.cos(math.radians(latitude))
        assert along <= width_m / 2


def at(number: int, driver_id: str, latitude: float = 10.0) -> bytes:
    return event(number, "o1", driver_id, latitude=latitude)


def test_box_keeps_the_newest_of_each_driver_in_the_box() -> None:
    state = BoxState(Box(0, 0, 30, 30))
    message = b"[" + b",".join((at(1, "a"), at(2, "b"), at(3, "a"), at(4, "c", 40.0))) + b"]"
    state.add(read_batch(message), EPOCH)
    assert sorted(state.take()) == sorted((at(3, "a"), at(2, "b")))
    assert state.take() == []
    # What was shown is remembered: nothing older follows, nor the same again.
    state.add(read_events([at(2, "a"), at(3, "a")]), EPOCH)
    assert state.take() == []
    state.add(read_events([at(5, "a")]), EPOCH)
    assert state.take() == [at(5, "a")]


def test_a_driver_whose_newest_position_is_old_is_not_there() -> None:
    state = BoxState(Box(0, 0, 30, 30))
    state.add(read_events([at(1, "a"), at(2, "b")]), T0 + timedelta(milliseconds=2))
    assert state.take() == [at(2, "b")]


def test_frames_hold_as_many_as_asked_for() -> None:
    frames = list(positions_frames([b"1", b"2", b"3"], 2))
    assert frames == [
        b'{"type":"positions","data":[1,2]}',
        b'{"type":"positions","data":[3]}',
    ]
    assert list(positions_frames([], 2)) == []
