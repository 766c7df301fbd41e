"""`/api/v1/drivers/{driver_id}/matched-route`: where a driver went, on the roads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import urlencode

import falcon.asgi

from common.access.policy import Action
from common.contract import Vehicle
from common.geo.sphere import distance_m
from common.roads.thin import Thinning, TraceFix
from common.roads.travel import Travel
from common.roads.way import MatchedPiece, Point
from ingest.http.access import Access
from ingest.http.body import GEOJSON
from ingest.http.queries.query import (
    ROUTE_POINTS_MAX,
    ParamReader,
    Params,
    RouteQuery,
    decode_cursor,
    encode_cursor,
    read_span,
    read_vehicle,
)
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.roads.line import line_geometry
from ingest.resources.route.page import dump


@dataclass(frozen=True, slots=True)
class Matched:
    """A trace as it was on the roads: lines, what each is long, and when it was driven."""

    lines: list[list[Point]]
    pieces: list[dict[str, object]]
    distance_m: float
    method: str


@dataclass(frozen=True, slots=True)
class TracePage:
    """How many fixes a page has, those of them that matching needs, and where the next begins."""

    count: int
    thinned: list[list[TraceFix]]
    cursor: str | None


class MatchedRoute:
    """A driver's fixes of a span, page by page, drawn along the roads."""

    def __init__(
        self, travel: Travel, history: Histories, access: Access, reads: ReadLimiter
    ) -> None:
        self._travel = travel
        self._history = history
        self._access = access
        self._reads = reads

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """A GeoJSON Feature; a Link header leads to the next page where there is one."""
        principal = self._access.admit(req, Action.READ_DRIVER, driver_id=driver_id)
        query, vehicle = read_matched_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            page = await self._page(driver_id, query)
            pieces = await self._travel.match(page.thinned, vehicle)
        found = straight(page.thinned) if pieces is None else on_roads(pieces)
        resp.content_type = GEOJSON
        resp.data = dump(
            {
                "type": "Feature",
                "geometry": line_geometry(found.lines),
                "properties": {
                    "driver_id": driver_id,
                    "start_time": query.start,
                    "end_time": query.end,
                    "count": page.count,
                    "distance_m": round(found.distance_m, 1),
                    "method": found.method,
                    "pieces": found.pieces,
                    "next_cursor": page.cursor,
                },
            }
        )
        if page.cursor is not None:
            following = {
                "start_time": query.start.isoformat(),
                "end_time": query.end.isoformat(),
                "limit": query.limit,
                "vehicle": vehicle,
                "cursor": page.cursor,
            }
            resp.append_link(f"{req.path}?{urlencode(following)}", "next")

    on_head = on_get

    async def _page(self, driver_id: str, query: RouteQuery) -> TracePage:
        thinning, count, last = Thinning(), 0, query.start
        async for rows in self._history.route(driver_id, query):
            for row in rows:
                if count == query.limit:
                    return TracePage(count, thinning.pieces, encode_cursor(last))
                count, last = count + 1, row["recorded_at"]
                place = row["latitude"], row["longitude"]
                thinning.add(TraceFix(last.timestamp(), *place, row["accuracy"]))
        return TracePage(count, thinning.pieces, None)


def read_matched_query(params: Params, now: datetime) -> tuple[RouteQuery, Vehicle]:
    """What is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now)
    limit = reader.integer("limit", ROUTE_POINTS_MAX, 2, ROUTE_POINTS_MAX)
    vehicle = read_vehicle(reader)
    cursor, after = reader.text("cursor"), None
    if cursor is not None:
        after = decode_cursor(cursor)
        if after is None:
            reader.fault("cursor", "must be the next_cursor of an earlier answer")
    reader.done()
    return RouteQuery(start, end, limit, after, "geojson"), vehicle


def on_roads(pieces: Sequence[MatchedPiece]) -> Matched:
    """The pieces as they are shown."""
    lines, shown, whole_m = [], [], 0.0
    for piece in pieces:
        line = list(piece.legs[0].points[:1])
        for leg in piece.legs:
            line += leg.points[1:]
        lines.append(line)
        length_m = sum(leg.distance_m for leg in piece.legs)
        whole_m += length_m
        span = piece.legs[0].begin_s, piece.legs[-1].end_s
        shown.append(_piece(*span, length_m, round(piece.confidence, 3)))
    return Matched(lines, shown, whole_m, "roads")


def straight(thinned: Sequence[Sequence[TraceFix]]) -> Matched:
    """Where there is no road engine: from fix to fix."""
    lines, shown, whole_m = [], [], 0.0
    for piece in thinned:
        line = [(fix.latitude, fix.longitude) for fix in piece]
        length_m = sum(distance_m(*a, *b) for a, b in pairwise(line))
        whole_m += length_m
        lines.append(line)
        shown.append(_piece(piece[0].at_s, piece[-1].at_s, length_m, None))
    return Matched(lines, shown, whole_m, "straight")


def _piece(
    begin_s: float, end_s: float, length_m: float, confidence: float | None
) -> dict[str, object]:
    return {
        "start_time": datetime.fromtimestamp(begin_s, UTC),
        "end_time": datetime.fromtimestamp(end_s, UTC),
        "distance_m": round(length_m, 1),
        "confidence": confidence,
    }
