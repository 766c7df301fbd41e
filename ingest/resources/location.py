"""`/api/v1/drivers/{driver_id}/location`: take one fix; show the current position.

`take` is the hot path: no middleware, no timer, no second look at the bytes.
"""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action, Principal, allowed
from common.ids import is_id
from common.problem import NO_POSITION
from ingest.http.access import Access
from ingest.http.fast_path import FastAnswer
from ingest.http.problem import HTTPProblem
from ingest.intake.intake import Intake
from ingest.resources.live_positions import LivePositions

PREFIX, SUFFIX = "/api/v1/drivers/", "/location"


class Location:
    """One driver's position, and a `FastRoute` for its fixes. `bytes_max` bounds a fix's body."""

    template = f"{PREFIX}{{driver_id}}{SUFFIX}"

    def __init__(
        self, intake: Intake, live: LivePositions, access: Access, *, bytes_max: int
    ) -> None:
        self._access = access
        self._intake = intake
        self._live = live
        self.bytes_max = bytes_max

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """Take a fix: 202 once the stream has it."""
        principal = self._access.admit(req, Action.SEND_FIX, driver_id=driver_id)
        data = await self._access.body(principal, req, self.bytes_max)
        _, resp.data, _ = await self.take(driver_id, data)
        resp.status = falcon.HTTP_202

    def subject(self, path: str) -> str | None:
        """The driver in `path`, if there is one whose id may be one."""
        driver_id = path[len(PREFIX) : -len(SUFFIX)]
        return driver_id if is_id(driver_id) else None

    def may(self, principal: Principal, subject: str) -> bool:
        """Whether `principal` may send fixes of the driver."""
        return allowed(principal, Action.SEND_FIX, driver_id=subject, order_id=None)

    async def take(self, subject: str, data: bytes) -> FastAnswer:
        """Put the driver's fix in `data` into its stream.

        Raises `InvalidUpdate`, `Refused` (too fast), `Overloaded`.
        """
        intake = self._intake
        intake.require_pace(subject)
        recorded_at, event = intake.validate_one(subject, data)
        receipt = await intake.add(((subject, event),))
        taken = b'{"status":"accepted","message_id":"%b","recorded_at":%b}' % (
            receipt.message_id,
            orjson.dumps(recorded_at, option=orjson.OPT_UTC_Z),
        )
        return 202, taken, ()

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
