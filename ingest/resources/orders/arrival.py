"""`/api/v1/orders/{order_id}/arrival`: when the order's driver will be there."""

import falcon.asgi

from common.access.policy import Action
from common.arrivals.arrival import facts_of_arrival
from common.problem import NO_ARRIVAL, NO_ORDER, ORDER_OVER
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.resources.orders.desk import OrderDesk
from ingest.resources.orders.expected import ExpectedArrivals
from ingest.resources.route.page import dump


class OrderArrival:
    """For a client that polls; the order's socket has the same."""

    def __init__(self, desk: OrderDesk, expected: ExpectedArrivals, access: Access) -> None:
        self._desk = desk
        self._expected = expected
        self._access = access

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """404 without a drop-off or a position of the driver; 409 when the order is over."""
        self._access.admit(req, Action.READ_ORDER, order_id=order_id)
        kept = await self._desk.kept(order_id)
        if kept.ended:
            raise HTTPProblem(ORDER_OVER, "the order is over")
        order = kept.order or await self._desk.stored(order_id)
        if order is None:
            raise HTTPProblem(NO_ORDER, "nobody registered this order")
        if order.is_over:
            raise HTTPProblem(ORDER_OVER, f"the order is {order.state.value}")
        if order.dropoff is None:
            raise HTTPProblem(NO_ARRIVAL, "the order has no drop-off")
        arrival = await self._expected.of(order, kept)
        if arrival is None:
            raise HTTPProblem(NO_ARRIVAL, "no driver of the order has a current position")
        resp.data = dump(facts_of_arrival(arrival))

    on_head = on_get
