"""Which path leads to which answer about orders."""

from typing import Any

import falcon.asgi

from ingest.http.access import Access
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.orders.accuracy import ArrivalAccuracy
from ingest.resources.orders.arrival import OrderArrival
from ingest.resources.orders.deliveries import FleetDeliveries
from ingest.resources.orders.desk import OrderDesk
from ingest.resources.orders.expected import ExpectedArrivals
from ingest.resources.orders.journey import OrderJourney
from ingest.resources.orders.list import OrderList
from ingest.resources.orders.one import OneOrder, OrderComplete, OrderStateChange


def add_order_routes(
    app: falcon.asgi.App[Any, Any],
    desk: OrderDesk,
    expected: ExpectedArrivals,
    access: Access,
    *,
    gap_s: float,
) -> None:
    """Add them all. Lists and journeys take turns of their own: they delay no single order."""
    reads = ReadLimiter(2, 1)
    orders, one = "/api/v1/orders", "/api/v1/orders/{order_id}"
    app.add_route(orders, OrderList(desk.database, access, reads))
    app.add_route(one, OneOrder(desk, expected, access))
    app.add_route(f"{one}/arrival", OrderArrival(desk, expected, access))
    app.add_route(f"{one}/state", OrderStateChange(desk, access))
    app.add_route(f"{one}/complete", OrderComplete(desk, access))
    app.add_route(f"{one}/journey", OrderJourney(desk, access, reads, gap_s=gap_s))
    app.add_route("/api/v1/fleet/deliveries", FleetDeliveries(desk.database, access, reads))
    accuracy = ArrivalAccuracy(desk.database, access, reads)
    app.add_route("/api/v1/fleet/arrivals/accuracy", accuracy)
