"""`/api/v1/orders/{order_id}/…`: the newest position of an order's driver; the end of tracking."""

import falcon
import falcon.asgi
import hiredis
import orjson

from common.access.policy import Action
from common.frame import ended_frame
from common.keys import order_ended_key, order_key
from common.redis.wire import Wire
from ingest.http.access import Access
from ingest.resources.location import require_id


class OrderLocation:
    """Where an order's driver is, for a client that polls."""

    def __init__(self, wire: Wire, access: Access) -> None:
        self._access = access
        self._wire = wire

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """The newest event that carried the order; 404 once it is complete."""
        access = self._access
        access.require(access.principal(req), Action.READ_ORDER, order_id=order_id)
        require_id("order_id", order_id)
        ended, event = await self._wire.send("MGET", order_ended_key(order_id), order_key(order_id))
        if ended is not None:
            raise falcon.HTTPNotFound(description="tracking of this order has ended")
        if event is None:
            raise falcon.HTTPNotFound(description="the order has no position")
        resp.data = event

    on_head = on_get


class OrderComplete:
    """Ends the tracking of an order. Doing it again changes nothing."""

    def __init__(self, wire: Wire, ended_ttl_s: int, access: Access) -> None:
        self._access = access
        self._wire = wire
        self._ended_ttl_s = ended_ttl_s

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """Mark first, so that whoever looks from here on finds the end, then tell who watches."""
        access = self._access
        access.require(access.principal(req), Action.END_ORDER, order_id=order_id)
        require_id("order_id", order_id)
        replies = await self._wire.pipeline_raw(
            [
                ("SET", order_ended_key(order_id), "1", "EX", self._ended_ttl_s),
                ("DEL", order_key(order_id)),
                ("PUBLISH", order_key(order_id), ended_frame(order_id)),
            ]
        )
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps({"status": "accepted", "order_id": order_id})
