"""`/api/v1/orders/{order_id}`: one order, registered and changed, read; `…/state`, `…/complete`."""

import falcon
import falcon.asgi
import msgspec
import orjson

from common.access.policy import Action
from common.bodies.fault_list import decode_body
from common.contract import ORDER_BODY_BYTES_MAX
from common.errors import Overloaded
from common.orders.order import changed, decode_order_update
from common.orders.states import DeliveryState
from common.problem import NO_ORDER, ORDER_OVER, STATE_PASSED
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.resources.orders.desk import OrderDesk
from ingest.resources.orders.expected import ExpectedArrivals
from ingest.resources.orders.shapes import position_of, shown


class WantedState(msgspec.Struct):
    """The body of `…/state`."""

    state: DeliveryState


def decode_state(body: bytes) -> DeliveryState:
    """The state in a body. Raises `InvalidUpdate`: 400 for what is no JSON, 422."""
    return decode_body(body, WantedState).state


class OneOrder:
    """An order as the backend registers it and others read it."""

    def __init__(self, desk: OrderDesk, expected: ExpectedArrivals, access: Access) -> None:
        self._desk = desk
        self._expected = expected
        self._access = access

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """201 for a new order, 200 for one that was there; 409 for a change once it is over."""
        principal = self._access.admit(req, Action.WRITE_ORDER, order_id=order_id)
        body = await self._access.body(principal, req, ORDER_BODY_BYTES_MAX)
        update = decode_order_update(body)
        kept = await self._desk.kept(order_id)
        if kept.full or kept.ended:
            order = await self._desk.stored(order_id)
            if order is None and kept.full:
                raise Overloaded("too many orders are active", retry_after_s=60)
            if kept.ended and (order is None or changed(order, update, order.updated_at)):
                raise HTTPProblem(ORDER_OVER, "the order is over")
        stored = await self._desk.put(order_id, update)
        order = stored.order
        if order.is_over and changed(order, update, order.updated_at):
            raise HTTPProblem(ORDER_OVER, "the order is over")
        resp.status = falcon.HTTP_201 if stored.is_new else falcon.HTTP_200
        resp.data = shown(order, position_of(order, kept.event))

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """The order as it is now; 404 when nobody registered it."""
        self._access.admit(req, Action.READ_ORDER, order_id=order_id)
        kept = await self._desk.kept(order_id)
        order = kept.order or await self._desk.stored(order_id)
        if order is None:
            raise HTTPProblem(NO_ORDER, "nobody registered this order")
        arrival = await self._expected.of(order, kept)
        resp.data = shown(order, position_of(order, kept.event), arrival)

    on_head = on_get


class OrderStateChange:
    """Brings an order into a state that the fences have not seen."""

    def __init__(self, desk: OrderDesk, access: Access) -> None:
        self._desk = desk
        self._access = access

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """200 with the order, also when it is in that state; 409 when it is past it, or over."""
        principal = self._access.admit(req, Action.WRITE_ORDER, order_id=order_id)
        body = await self._access.body(principal, req, ORDER_BODY_BYTES_MAX)
        wanted = decode_state(body)
        order = await self._desk.move(order_id, wanted)
        if order is None:
            order = await self._desk.stored(order_id)
            if order is None:
                raise HTTPProblem(NO_ORDER, "nobody registered this order")
            if order.state is not wanted and order.is_over:
                raise HTTPProblem(ORDER_OVER, f"the order is {order.state.value}")
            if order.state is not wanted:
                raise HTTPProblem(STATE_PASSED, f"the order is {order.state.value} already")
        kept = await self._desk.kept(order_id)
        resp.data = shown(order, position_of(order, kept.event))


class OrderComplete:
    """Ends the tracking of an order. Doing it again changes nothing."""

    def __init__(self, desk: OrderDesk, access: Access) -> None:
        self._desk = desk
        self._access = access

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """Mark the order as ended, drop its position and tell its watchers: all or nothing.

        A full Redis refuses the marker. Watchers must not be told of an end then that new ones
        would not find: close 4000 says that they need not come back.
        """
        self._access.admit(req, Action.END_ORDER, order_id=order_id)
        await self._desk.complete(order_id)
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps({"status": "accepted", "order_id": order_id})
