"""`/api/v1/orders/{order_id}/tracking-token`: a link that lets one customer watch one order.

The token is signed, not stored: it ends with its time, with its revocation, or with its order.
It stands behind the `#` of the link, so that browsers send it to no server and in no Referer.
"""

import time
from datetime import UTC, datetime

import falcon
import falcon.asgi
import orjson

from common.access.claims import new_claims
from common.access.gate import Gate
from common.access.policy import Action, Role
from common.keys import order_ended_key
from common.problem import TRACKING_ENDED
from common.redis.nodes import Nodes
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem


class TrackingLink:
    """Makes links. With AUTH=off they hold no token: everybody may watch."""

    def __init__(
        self,
        nodes: Nodes,
        gate: Gate | None,
        access: Access,
        *,
        audience: str,
        ttl_s: int,
        front_door_url: str,
    ) -> None:
        self._nodes = nodes
        self._gate = gate
        self._access = access
        self._audience = audience
        self._ttl_s = ttl_s
        self._url = front_door_url

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """200 with a new link; 404 once the order is complete."""
        self._access.admit(req, Action.START_ORDER, order_id=order_id)
        if await self._nodes.order_wire(order_id).send("EXISTS", order_ended_key(order_id)):
            raise HTTPProblem(TRACKING_ENDED, "tracking of this order has ended")
        now = time.time()
        token = ""
        url = f"{self._url}/track/{order_id}"
        if self._gate is not None:
            claims = new_claims(Role.TRACKER, order_id, self._audience, now=now, ttl_s=self._ttl_s)
            token = self._gate.signing.sign(claims)
            url = f"{url}#token={token}"
        expires_at = datetime.fromtimestamp(int(now + self._ttl_s), UTC)
        resp.data = orjson.dumps(
            {"token": token, "url": url, "expires_at": expires_at}, option=orjson.OPT_UTC_Z
        )
