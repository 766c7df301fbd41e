"""The question of the next page is the question of this one."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs

from ingest.http.queries.fences import IdPage, read_fences_query
from ingest.http.queries.insight import read_fleet_query, read_items_query
from ingest.http.queries.next_page import asked_again
from ingest.http.queries.orders import OrdersQuery, read_deliveries_query, read_orders_query
from ingest.http.queries.query import decode_cursor, read_route_query

NOW = datetime(2026, 7, 30, 12, tzinfo=UTC)
LATER = datetime(2026, 8, 2, tzinfo=UTC)


def params(query, cursor):
    return {name: text for name, (text,) in parse_qs(asked_again(query, cursor)).items()}


def test_it_reads_as_the_same_question_from_the_cursor_on_whenever_it_is_asked():
    time = "1785412800000000"
    for read, asked, cursor, after in (
        (read_route_query, {"format": "gpx", "simplify": "2.5"}, time, decode_cursor(time)),
        (read_items_query, {"limit": "7"}, time, decode_cursor(time)),
        (read_fleet_query, {"by": "day", "tz": "Europe/Berlin"}, "driver-7", "driver-7"),
        (read_deliveries_query, {"group": "driver", "limit": "2"}, "driver-7", "driver-7"),
    ):
        query = read(asked, NOW)
        assert read(params(query, cursor), LATER) == replace(query, after=after)


def test_without_times_likewise():
    page = read_fences_query({"format": "geojson", "limit": "3"})
    assert read_fences_query(params(page, "depot")) == IdPage("depot", 3, "geojson")
    orders = read_orders_query({"driver_id": "d:1", "state": "new"})
    assert read_orders_query(params(orders, "5-o")) == replace(
        orders, after=(decode_cursor("5"), "o")
    )


def test_what_was_not_asked_is_not_in_it():
    assert asked_again(OrdersQuery(None, None, 100, None), "5-o") == "limit=100&cursor=5-o"
