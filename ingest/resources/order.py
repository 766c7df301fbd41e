"""`/api/v1/orders/{order_id}/location`: the newest position of an order's driver."""

import falcon.asgi

from common.access.policy import Action
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
        self._access.admit(req, Action.READ_ORDER, order_id=order_id)
        wire = self._nodes.order_wire(order_id)
        ended, event = await wire.send("MGET", order_ended_key(order_id), order_key(order_id))
        if ended is not None:
            raise HTTPProblem(TRACKING_ENDED, "tracking of this order has ended")
        if event is None or not self._live.is_fresh(event):
            raise HTTPProblem(NO_POSITION, "the order has no current position")
        resp.data = event

    on_head = on_get
