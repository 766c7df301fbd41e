"""`/api/v1/orders/{order_id}/journey`: how an order went, with the way as GeoJSON."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import falcon.asgi
import orjson

from common.access.policy import Action, Role
from common.event import EPOCH
from common.geo.simplify import simplify
from common.orders.driven import DrivenDistance
from common.orders.journey import DRIVERS, PAGE_FIXES, DriverSpan, JourneyReader, spans
from common.orders.order import Order
from common.problem import NO_ORDER
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.orders.desk import OrderDesk
from ingest.resources.orders.shapes import facts_of
from ingest.resources.route.geojson import GeoJsonWriter
from ingest.resources.route.page import COLUMNS, PageFacts, Row, dump

# A pixel of a map of some streets; other fixes lie nearer than this to the line that is drawn.
TOLERANCE_M = 10.0


class _Way:
    """The fixes of a journey as they come: the line, and how far it is."""

    def __init__(self, order_id: str, gap_s: float) -> None:
        self._gap_s = gap_s
        self._writer = GeoJsonWriter(order_id)
        self.fixes = self._points = 0
        self.metres = 0.0

    def begin(self) -> DrivenDistance:
        """A driver's part."""
        return DrivenDistance(self._gap_s)

    def add(self, rows: Sequence[Row], driven: DrivenDistance) -> None:
        """The next fixes of a driver's part."""
        for row in rows:
            driven.add(row["recorded_at"], row["latitude"], row["longitude"], row["accuracy"])
        points = [
            ((row["recorded_at"] - EPOCH).total_seconds(), row["latitude"], row["longitude"])
            for row in rows
        ]
        kept = [rows[place] for place in simplify(points, TOLERANCE_M)] if rows else []
        self._writer.add(kept)
        self._points += len(kept)

    def end(self, driven: DrivenDistance) -> None:
        """The driver's part is over."""
        self.metres += driven.metres
        self.fixes += driven.fixes

    def feature(self, facts: PageFacts) -> bytes:
        """The line, as GeoJSON."""
        return self._writer.finish(facts)

    @property
    def points(self) -> int:
        """Positions of the line."""
        return self._points


class OrderJourney:
    """Times, distance, promised and real arrival, and the way, of one order."""

    def __init__(
        self, desk: OrderDesk, access: Access, reads: ReadLimiter, *, gap_s: float
    ) -> None:
        self._desk = desk
        self._access = access
        self._reads = reads
        self._gap_s = gap_s

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, order_id: str
    ) -> None:
        """The journey as far as it went; 404 when nobody registered the order."""
        principal = self._access.admit(req, Action.READ_ORDER, order_id=order_id)
        async with self._reads.turn(principal.subject):
            order = await self._desk.stored(order_id)
            if order is None:
                raise HTTPProblem(NO_ORDER, "nobody registered this order")
            now = datetime.now(UTC)
            drivers = spans(order, await self._desk.database.read(DRIVERS, order_id), now)
            # Where else a driver was is not for a customer to know.
            customer = self._access.on and principal.role is Role.TRACKER
            way = await self._read(order_id, drivers, named_only=customer)
            resp.data = dump(journey_of(order, drivers, way.fixes, way.metres, _line(way, order)))

    on_head = on_get

    async def _read(
        self, order_id: str, drivers: Sequence[DriverSpan], *, named_only: bool
    ) -> _Way:
        way = _Way(order_id, self._gap_s)
        reader = JourneyReader(self._desk.histories.read_of, order_id, COLUMNS)
        for span in drivers:
            after, named = await reader.first(span, named_only=named_only)
            driven = way.begin()
            while not reader.is_full:
                rows = await reader.page(span, after, named)
                way.add(rows, driven)
                if len(rows) < PAGE_FIXES:
                    break
                after = rows[-1]["recorded_at"]
                await asyncio.sleep(0)
            way.end(driven)
        return way


def _line(way: _Way, order: Order) -> orjson.Fragment:
    end = order.times.over or order.updated_at
    facts = PageFacts(order.driver_id or "", order.times.new, end, way.points, None)
    return orjson.Fragment(way.feature(facts))


def journey_of(
    order: Order, drivers: Sequence[DriverSpan], fixes: int, metres: float, route: object
) -> dict[str, Any]:
    """The answer. Fixes may have come after its distance was kept, and old ones may be gone: the
    longer way is the whole one.
    """
    times, facts = order.times, facts_of(order)
    begun = times.picked_up or times.assigned
    end = times.delivered
    promised = order.promised_at
    known = fixes > 0 or order.distance_m is not None
    return {
        **{name: facts[name] for name in ("order_id", "driver_id", "vehicle", "state", "times")},
        **{name: facts[name] for name in ("pickup", "dropoff", "ready_at", "promised_at")},
        "delivered_at": end,
        "late_s": (end - promised).total_seconds() if end and promised else None,
        "under_way_s": (end - begun).total_seconds() if end and begun else None,
        "distance_m": round(max(order.distance_m or 0.0, metres), 3) if known else None,
        "fixes": fixes,
        "drivers": [
            {"driver_id": span.driver_id, "since": span.since, "until": span.until}
            for span in drivers
        ],
        "route": route,
    }
