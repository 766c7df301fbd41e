"""`/api/v1/drivers/{driver_id}/location`: take one fix; show the current position.

`take` is the hot path: no middleware, no timer, no second look at the bytes.
"""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action
from common.errors import Fault, InvalidUpdate
from common.event import Clock, TimeLimits, decode_update, encode_event, is_id, recorded_time
from ingest.http.access import Access
from ingest.http.body import SCOPE_KEY, Body, read_json
from ingest.intake.producer import Producer
from ingest.resources.live_positions import Live

ID_DETAIL = "must be 1-64 of A-Z a-z 0-9 . _ : -"


def require_id(field: str, text: str) -> None:
    """Raise `InvalidUpdate` unless `text` may name a driver or an order."""
    if not is_id(text):
        raise InvalidUpdate(f"{field}: {ID_DETAIL}", faults=(Fault(field, ID_DETAIL),))


class Location:
    """One driver's position."""

    def __init__(
        self,
        producer: Producer,
        live: Live,
        clock: Clock,
        limits: TimeLimits,
        *,
        bytes_max: int,
        access: Access,
    ) -> None:
        self._access = access
        self._producer = producer
        self._live = live
        self._clock = clock
        self._limits = limits
        self._bytes_max = bytes_max

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """Take a fix: 202 once the stream has it."""
        access = self._access
        principal = access.principal(req)
        access.require(principal, Action.SEND_FIX, driver_id=driver_id)
        require_id("driver_id", driver_id)
        body: Body = req.scope[SCOPE_KEY]
        if body.refused is not None:
            raise body.refused
        data = await read_json(req, self._bytes_max)
        access.recheck(principal, req)
        resp.data = await self.take(driver_id, data)
        resp.status = falcon.HTTP_202

    async def take(self, driver_id: str, data: bytes) -> bytes:
        """Put the fix in `data` into its stream; the answer's body.

        Raises `InvalidUpdate`, `Refused` (too fast), `Overloaded`.
        """
        self._producer.require_pace(driver_id)
        update = decode_update(data)
        now = self._clock.take()
        recorded_at = recorded_time(update.recorded_at, now, self._limits)
        event = encode_event(driver_id, update, recorded_at, now)
        message_id = await self._producer.add(driver_id, event)
        return b'{"status":"accepted","message_id":"%b","recorded_at":%b}' % (
            message_id,
            orjson.dumps(recorded_at, option=orjson.OPT_UTC_Z),
        )

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """The current position, as it was encoded at its arrival."""
        access = self._access
        access.require(access.principal(req), Action.READ_DRIVER, driver_id=driver_id)
        require_id("driver_id", driver_id)
        event = await self._live.read(driver_id)
        if event is None:
            raise falcon.HTTPNotFound(description="the driver has no current position")
        resp.data = event

    on_head = on_get
