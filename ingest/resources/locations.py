"""`/api/v1/drivers/locations`: take many fixes in one body."""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action, allowed
from common.event import Clock, TimeLimits
from ingest.http.access import Access
from ingest.http.body import read_json
from ingest.http.problem import answer
from ingest.intake.batch import judge
from ingest.intake.producer import Producer


class Locations:
    """Many drivers' fixes."""

    def __init__(
        self,
        producer: Producer,
        clock: Clock,
        limits: TimeLimits,
        *,
        bytes_max: int,
        fixes_max: int,
        access: Access,
    ) -> None:
        self._access = access
        self._producer = producer
        self._clock = clock
        self._limits = limits
        self._bytes_max = bytes_max
        self._fixes_max = fixes_max

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """202 once the streams have every good fix; 422 when there is none."""
        access = self._access
        # Who it is comes before what it says: a stranger's body is not even read.
        principal = access.principal(req)
        body = await read_json(req, self._bytes_max)
        access.recheck(principal, req)
        judged = judge(body, self._fixes_max, self._clock, self._limits)
        if access.on and not allowed(principal, Action.SEND_FIX):
            # One that is not allowed refuses the whole body: nothing has been written yet.
            sent: set[str | None] = {driver_id for driver_id, _ in judged.events}
            for driver_id in sent or {principal.driver_id}:
                access.require(principal, Action.SEND_FIX, driver_id=driver_id)
        if not judged.events:
            answer(resp, 422, "none of the fixes can be accepted", judged.errors)
            return
        surplus = await self._producer.add_many(judged.events)
        if surplus.places:
            judged.reject_surplus(surplus.places, surplus.retry_after_s)
            resp.set_header("retry-after", str(surplus.retry_after_s))
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps(
            {
                "accepted": len(judged.events) - len(surplus.places),
                "rejected": judged.rejected,
                "errors": judged.errors,
            }
        )
