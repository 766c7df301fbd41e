"""`/api/v1/geofences/{geofence_id}`: made, changed, read, deleted; and who is inside now."""

from datetime import UTC, datetime

import falcon
import falcon.asgi

from common.access.policy import Action
from common.fences.row import shown
from common.problem import NO_GEOFENCE
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.http.queries.fences import read_inside_query
from ingest.http.queries.next_page import link_next
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.fences.desk import FenceDesk, Row
from ingest.resources.fences.judge import judge_fence, require_fence_id
from ingest.resources.route.page import dump


class FenceItem:
    """One geofence."""

    def __init__(
        self, desk: FenceDesk, access: Access, turns: ReadLimiter, *, bytes_max: int
    ) -> None:
        self._desk = desk
        self._access = access
        self._turns = turns
        self._bytes_max = bytes_max

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, geofence_id: str
    ) -> None:
        """Make it, or change it to what the body says: what the body leaves out is unset."""
        principal = self._access.admit(req, Action.WRITE_FENCES)
        require_fence_id(geofence_id)
        body = await self._access.body(principal, req, self._bytes_max)
        async with self._turns.turn(principal.subject):
            row, made = await self._desk.put(await judge_fence(geofence_id, body))
        resp.status = falcon.HTTP_201 if made else falcon.HTTP_200
        resp.data = dump(shown(row))

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, geofence_id: str
    ) -> None:
        """The fence as it is stored."""
        principal = self._access.admit(req, Action.READ_FENCES)
        require_fence_id(geofence_id)
        async with self._turns.turn(principal.subject):
            row = await self._desk.one(geofence_id)
        if row is None:
            raise no_fence()
        resp.data = dump(shown(row))

    on_head = on_get

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, geofence_id: str
    ) -> None:
        """Delete it. The visits of drivers that are inside end with an exit."""
        principal = self._access.admit(req, Action.WRITE_FENCES)
        require_fence_id(geofence_id)
        async with self._turns.turn(principal.subject):
            deleted = await self._desk.delete(geofence_id)
        if not deleted:
            raise no_fence()
        resp.status = falcon.HTTP_204


class FenceDrivers:
    """Who is in a geofence now, as the events have it."""

    def __init__(self, desk: FenceDesk, access: Access, turns: ReadLimiter) -> None:
        self._desk = desk
        self._access = access
        self._turns = turns

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, geofence_id: str
    ) -> None:
        """One page, by id; a Link header leads to the next."""
        principal = self._access.admit(req, Action.READ_FENCES)
        require_fence_id(geofence_id)
        page = read_inside_query(req.params)
        async with self._turns.turn(principal.subject):
            rows = await self._desk.inside(geofence_id, page.after, page.limit + 1)
        if rows is None:
            raise no_fence()
        cursor = rows[page.limit - 1]["driver_id"] if len(rows) > page.limit else None
        now = datetime.now(UTC)
        drivers = [_inside(row, now) for row in rows[: page.limit]]
        link_next(req, resp, page, cursor)
        resp.data = dump(
            {
                "geofence_id": geofence_id,
                "count": len(drivers),
                "drivers": drivers,
                "next_cursor": cursor,
            }
        )

    on_head = on_get


def no_fence() -> HTTPProblem:
    """The 404 of all of them."""
    return HTTPProblem(NO_GEOFENCE, "there is no geofence of this id")


def _inside(row: Row, now: datetime) -> dict[str, object]:
    """A driver inside. One whose clock is ahead entered no later than now."""
    return {
        "driver_id": row["driver_id"],
        "entered_at": row["entered_at"],
        "duration_s": round(max(0.0, (now - row["entered_at"]).total_seconds()), 3),
        "dwelt": row["dwelt"],
    }
