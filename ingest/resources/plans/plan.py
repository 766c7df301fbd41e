"""`POST /api/v1/plans`: the body goes to the planner as it came, and is judged there.

A plan's matrix has megabytes of numbers: reading them here would hold up fixes.
"""

import asyncio

import falcon
import falcon.asgi

from common.access.policy import Action
from common.errors import Fault, InvalidUpdate, Overloaded, Refused
from common.plans.limits import PLAN_BODY_BYTES_MAX, UNDER_WAY_MAX
from common.plans.messages import PlanBusy, PlanFailed, PlanInvalid, PlanMade
from common.problem import TOO_MANY_PLANS
from ingest.http.access import Access
from ingest.http.body import SCOPE_KEY, Body, read_json
from ingest.resources.plans.client import PlannerClient
from ingest.resources.plans.fleet import FleetLookUp

BUSY_RETRY_S = 5


class Plans:
    """Makes plans, by asking the planner."""

    def __init__(self, planner: PlannerClient, fleet: FleetLookUp, access: Access) -> None:
        self._planner = planner
        self._fleet = fleet
        self._access = access
        self._under_way = 0

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """A plan of the body."""
        principal = self._access.principal(req)
        self._access.require(principal, Action.PLAN)
        if self._under_way >= UNDER_WAY_MAX:
            raise _busy("too many plans are under way", BUSY_RETRY_S)
        self._under_way += 1
        try:
            data = await read_json(req, PLAN_BODY_BYTES_MAX)
            self._access.recheck(principal, req)
            resp.data = await self._made(data, req.scope[SCOPE_KEY])
        finally:
            self._under_way -= 1

    async def _made(self, data: bytes, body: Body) -> bytes:
        """The answer. A client that leaves meanwhile ends the plan."""
        asking = asyncio.create_task(self._planner.ask(data, self._fleet.look_up))
        leaving = asyncio.create_task(body.left())
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise falcon.HTTPBadRequest(description="the client left before its plan came")
            message = asking.result()
        finally:
            asking.cancel()
            leaving.cancel()
            await asyncio.gather(asking, leaving, return_exceptions=True)
        match message:
            case PlanMade():
                return message.body
            case PlanInvalid():
                faults = tuple(Fault(*fault) for fault in message.faults)
                raise InvalidUpdate(message.detail, status=message.status, faults=faults)
            case PlanBusy():
                raise _busy(message.detail, message.retry_after_s)
            case PlanFailed():
                raise Overloaded(message.detail, retry_after_s=message.retry_after_s)
            case _:
                raise Overloaded("the planner says something else")


def _busy(detail: str, retry_after_s: int) -> Refused:
    return Refused(429, detail, retry_after_s=retry_after_s, problem=TOO_MANY_PLANS)
