"""`/api/v1/geofences` and `…/import`: all geofences, out and in."""

import falcon.asgi

from common.access.policy import Action
from common.fences.row import shown, shown_feature
from ingest.http.access import Access
from ingest.http.body import GEOJSON, read_any, require_json
from ingest.http.queries.fences import read_fences_query
from ingest.http.queries.next_page import link_next
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.fences.desk import FenceDesk
from ingest.resources.fences.judge import judge_features
from ingest.resources.route.page import dump


class FenceList:
    """All geofences, page by page, as JSON or as GeoJSON that the import takes back."""

    def __init__(self, desk: FenceDesk, access: Access, turns: ReadLimiter) -> None:
        self._desk = desk
        self._access = access
        self._turns = turns

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """One page, by id; a Link header leads to the next."""
        principal = self._access.admit(req, Action.READ_FENCES)
        page = read_fences_query(req.params)
        async with self._turns.turn(principal.subject):
            rows = await self._desk.page(page.after, page.limit + 1)
        cursor = rows[page.limit - 1]["geofence_id"] if len(rows) > page.limit else None
        rows = rows[: page.limit]
        link_next(req, resp, page, cursor)
        if page.format == "json":
            fences = [shown(row) for row in rows]
            resp.data = dump({"count": len(fences), "geofences": fences, "next_cursor": cursor})
            return
        resp.content_type = GEOJSON
        features = [shown_feature(row) for row in rows]
        resp.data = dump({"type": "FeatureCollection", "features": features, "next_cursor": cursor})

    on_head = on_get


class FenceImport:
    """Many geofences at once: a GeoJSON FeatureCollection."""

    def __init__(
        self, desk: FenceDesk, access: Access, turns: ReadLimiter, *, bytes_max: int
    ) -> None:
        self._desk = desk
        self._access = access
        self._turns = turns
        self._bytes_max = bytes_max

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Make or change a fence for each feature: all of them, or none where one is at fault."""
        principal = self._access.admit(req, Action.WRITE_FENCES)
        require_json(req.content_type or GEOJSON, GEOJSON)
        body = await read_any(req, self._bytes_max)
        self._access.recheck(principal, req)
        async with self._turns.turn(principal.subject):
            made, changed = await self._desk.put_all(await judge_features(body))
        resp.data = dump({"imported": made + changed, "created": made, "changed": changed})
