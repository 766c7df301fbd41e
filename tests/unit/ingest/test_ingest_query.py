from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from ingest.http.queries.query import (
    decode_cursor,
    encode_cursor,
    read_nearby_query,
    read_route_query,
)

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["nan", "inf", "-1", "1e999", "1_0", "\uff11", "", "0001-01-01T00:00:00+14:00"]
    ),
)
PARAMS = st.dictionaries(
    st.sampled_from(
        ["lat", "lng", "radius", "limit", "start_time", "end_time", "cursor", "format", "x"]
    ),
    st.one_of(TEXTS, st.lists(TEXTS, min_size=2, max_size=3)),
)


def faults(read: object, *args: object) -> set[str]:
    with pytest.raises(InvalidUpdate) as caught:
        read(*args)  # type: ignore[operator]
    assert caught.value.status == 422
    return {fault.field for fault in caught.value.faults}


@given(params=PARAMS)
def test_no_query_string_is_more_than_refused(params: dict[str, str | list[str]]) -> None:
    for read in (read_nearby_query, lambda p: read_route_query(p, NOW)):
        try:
            read(params)
        except InvalidUpdate as e:
            assert e.status == 422
            assert e.faults


def test_route_defaults_to_the_last_day() -> None:
    query = read_route_query({}, NOW)
    assert (query.start, query.end) == (NOW - timedelta(hours=24), NOW)
    assert (query.limit, query.format, query.after) == (1000, "json", None)


def test_an_end_alone_asks_for_the_day_before_it() -> None:
    query = read_route_query({"end_time": "2026-01-01T00:00:00Z"}, NOW)
    assert query.start == datetime(2025, 12, 31, tzinfo=UTC)


def test_an_unescaped_plus_of_an_offset_is_understood() -> None:
    query = read_route_query({"start_time": "2026-01-02T10:00:00 02:00"}, NOW)
    assert query.start == datetime(2026, 1, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"start_time": "2026-01-02T12:00:00Z"}, {"start_time"}),
        ({"start_time": "2026-01-02T10:00:00"}, {"start_time"}),
        ({"end_time": "yesterday", "limit": "0"}, {"end_time", "limit"}),
        ({"limit": "10001"}, {"limit"}),
        ({"limit": ["1", "2"]}, {"limit"}),
        ({"format": "xml"}, {"format"}),
        ({"format": ""}, {"format"}),
        ({"cursor": "-5"}, {"cursor"}),
        ({"cursor": "9" * 18}, {"cursor"}),
    ],
)
def test_route_names_every_parameter_at_fault(
    params: dict[str, str | list[str]], fields: set[str]
) -> None:
    assert faults(read_route_query, params, NOW) == fields


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({}, {"lat", "lng"}),
        ({"lat": "91", "lng": "181", "radius": "100001", "limit": "1001"},
         {"lat", "lng", "radius", "limit"}),
        ({"lat": "nan", "lng": "1e400"}, {"lat", "lng"}),
        ({"lat": ["1", "2"], "lng": "0"}, {"lat"}),
        ({"lat": "1_0", "lng": "\uff11"}, {"lat", "lng"}),
    ],
)  # fmt: skip
def test_nearby_names_every_parameter_at_fault(
    params: dict[str, str | list[str]], fields: set[str]
) -> None:
    assert faults(read_nearby_query, params) == fields


def test_nearby_defaults() -> None:
    query = read_nearby_query({"lat": "-33.5", "lng": "1e1"})
    assert (query.latitude, query.longitude) == (-33.5, 10.0)
    assert (query.radius, query.limit) == (1000.0, 50)


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))
)
def test_a_cursor_is_the_time_it_was_made_of(when: datetime) -> None:
    assert decode_cursor(encode_cursor(when)) == when
