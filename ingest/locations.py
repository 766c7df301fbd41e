"""`/api/v1/drivers/locations`: take many fixes in one body."""

import falcon
import falcon.asgi
import orjson

from common.event import Clock, TimeLimits
from ingest.batch import judge
from ingest.body import read_json
from ingest.problem import answer
from ingest.producer import Producer


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
    ) -> None:
        self._producer = producer
        self._clock = clock
        self._limits = limits
        self._bytes_max = bytes_max
        self._fixes_max = fixes_max

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """202 once the streams have every good fix; 422 when there is none."""
        body = await read_json(req, self._bytes_max)
        judged = judge(body, self._fixes_max, self._clock, self._limits)
        if not judged.events:
            answer(resp, 422, "none of the fixes can be accepted", judged.errors)
            return
        await self._producer.add_many(judged.events)
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps(
            {
                "accepted": len(judged.events),
                "rejected": judged.rejected,
                "errors": judged.errors,
            }
        )
