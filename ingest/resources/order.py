"""`/api/v1/orders/{order_id}/…`: the newest position of an order's driver; the end of tracking."""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action
from common.frame import ended_frame
from common.ids import require_id
from common.keys import order_ended_key, order_key
from common.problem import NO_POSITION, TRACKING_ENDED
from common.redis.nodes import Nodes
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.resources.live_positions import LivePositions


class OrderLocation:
    """Where an order's driver is, for a client that polls."""

    def __init__(self, nodes: Nodes, live: LivePositions, access: Access) -> None:
        self._access = access
        self._nodes = nodes
        self._live = live

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """The newest event that carried the order; 404 once it is complete, or when it is old."""
        access = self._access
        access.require(access.principal(req), Action.READ_ORDER, order_id=order_id)
        require_id("order_id", order_id)
        wire = self._nodes.order_wire(order_id)
        ended, event = await wire.send("MGET", order_ended_key(order_id), order_key(order_id))
        if ended is not None:
            raise HTTPProblem(TRACKING_ENDED, "tracking of this order has ended")
        if event is None or not self._live.is_fresh(event):
            raise HTTPProblem(NO_POSITION, "the order has no current position")
        resp.data = event

    on_head = on_get


class OrderComplete:
    """Ends the tracking of an order. Doing it again changes nothing."""

    def __init__(self, nodes: Nodes, ended_ttl_s: int, access: Access) -> None:
        self._access = access
        self._nodes = nodes
        self._ended_ttl_s = ended_ttl_s

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """Mark the order as ended, drop its position and tell its watchers: all or nothing.

        A full Redis refuses the marker. Watchers must not be told of an end then that new ones
        would not find: close 4000 says that they need not come back.
        """
        access = self._access
        access.require(access.principal(req), Action.END_ORDER, order_id=order_id)
        require_id("order_id", order_id)
        await self._nodes.order_wire(order_id).transaction(
            [
                ("SET", order_ended_key(order_id), "1", "EX", self._ended_ttl_s),
                ("DEL", order_key(order_id)),
                ("PUBLISH", order_key(order_id), ended_frame(order_id)),
            ]
        )
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps({"status": "accepted", "order_id": order_id})
