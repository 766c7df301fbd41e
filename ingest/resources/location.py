"""`/api/v1/drivers/{driver_id}/location`: take one fix; show the current position.

`take` is the hot path: no middleware, no timer, no second look at the bytes.
"""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action
from common.problem import NO_POSITION
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.intake.intake import Intake
from ingest.resources.live_positions import LivePositions


class Location:
    """One driver's position. `bytes_max` bounds a fix's body."""

    def __init__(
        self, intake: Intake, live: LivePositions, access: Access, *, bytes_max: int
    ) -> None:
        self._access = access
        self._intake = intake
        self._live = live
        self._bytes_max = bytes_max

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """Take a fix: 202 once the stream has it."""
        principal = self._access.admit(req, Action.SEND_FIX, driver_id=driver_id)
        data = await self._access.body(principal, req, self._bytes_max)
        resp.data = await self.take(driver_id, data)
        resp.status = falcon.HTTP_202

    async def take(self, driver_id: str, data: bytes) -> bytes:
        """Put the fix in `data` into its stream; the answer's body.

        Raises `InvalidUpdate`, `Refused` (too fast), `Overloaded`.
        """
        intake = self._intake
        intake.require_pace(driver_id)
        recorded_at, event = intake.validate_one(driver_id, data)
        receipt = await intake.add(((driver_id, event),))
        return b'{"status":"accepted","message_id":"%b","recorded_at":%b}' % (
            receipt.message_id,
            orjson.dumps(recorded_at, option=orjson.OPT_UTC_Z),
        )

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """The current position, as it was encoded at its arrival."""
        self._access.admit(req, Action.READ_DRIVER, driver_id=driver_id)
        event = await self._live.read(driver_id)
        if event is None:
            raise HTTPProblem(NO_POSITION, "the driver has no current position")
        resp.data = event

    on_head = on_get
