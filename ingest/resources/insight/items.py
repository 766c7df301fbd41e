"""`/api/v1/drivers/{driver_id}/trips` and `…/stops`: what a driver did, page by page."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import falcon.asgi

from common.access.policy import Action
from ingest.http.access import Access
from ingest.http.queries.insight import ITEMS_MAX, LINES_MAX, ItemsQuery, read_items_query
from ingest.http.queries.next_page import link_next
from ingest.http.queries.query import encode_cursor
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.insight.lines import geometry, line
from ingest.resources.insight.shapes import (
    CSV_TYPE,
    GEOJSON_TYPE,
    JSON_TYPE,
    Item,
    Row,
    collection_of,
    csv_of,
    silent_since,
    stop_of,
    trip_of,
)
from ingest.resources.route.page import dump

_SQL = files(__package__).joinpath("items.sql").read_text()
TRIP_COLUMNS = (
    "trip_id", "start_time", "end_time", "start_latitude", "start_longitude", "end_latitude",
    "end_longitude", "distance_m", "duration_s", "moving_s", "max_speed", "fixes", "open",
)  # fmt: skip
STOP_COLUMNS = (
    "start_time", "end_time", "latitude", "longitude", "duration_s", "fixes", "ended_by", "open",
)  # fmt: skip


class _Items(ABC):
    """A list of what began at some time; `table` is also its name in the answer."""

    table = ""
    columns: tuple[str, ...] = ()
    # Items of a page that is drawn.
    drawn_max = ITEMS_MAX
    shape: Callable[[Row, datetime], Item]

    def __init__(
        self, history: Histories, access: Access, reads: ReadLimiter, *, gap_s: float
    ) -> None:
        self._history = history
        self._access = access
        self._reads = reads
        self._gap_s = gap_s

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """One page, what began first comes first; a Link header leads to the next."""
        principal = self._access.admit(req, Action.READ_DRIVER, driver_id=driver_id)
        now = datetime.now(UTC)
        query = read_items_query(req.params, now)
        if query.format == "geojson":
            query = replace(query, limit=min(query.limit, self.drawn_max))
        async with self._reads.turn(principal.subject):
            rows = await self._page(driver_id, query)
            cursor = None
            if len(rows) > query.limit:
                rows = rows[: query.limit]
                cursor = encode_cursor(rows[-1]["started_at"])
            silent = silent_since(now, self._gap_s)
            items = [type(self).shape(row, silent) for row in rows]
            resp.content_type, resp.data = await self._body(driver_id, items, query, cursor)
        link_next(req, resp, query, cursor)

    on_head = on_get

    async def _page(self, driver_id: str, query: ItemsQuery) -> list[Row]:
        return await self._history.read_of(
            _SQL.format(table=self.table),
            driver_id,
            query.start,
            query.end,
            query.after,
            query.limit + 1,
        )

    async def _body(
        self, driver_id: str, items: list[Item], query: ItemsQuery, cursor: str | None
    ) -> tuple[str, bytes]:
        if query.format == "csv":
            columns = ("driver_id", *self.columns)
            return CSV_TYPE, csv_of(columns, [{"driver_id": driver_id, **i} for i in items])
        facts = {"driver_id": driver_id, "start_time": query.start, "end_time": query.end}
        if query.format == "json":
            body = {**facts, "count": len(items), self.table: items, "next_cursor": cursor}
            return JSON_TYPE, dump(body)
        features: list[Item] = [
            {
                "type": "Feature",
                "geometry": await self._geometry(driver_id, item),
                "properties": {"driver_id": driver_id, **item},
            }
            for item in items
        ]
        return GEOJSON_TYPE, collection_of(features, {"next_cursor": cursor})

    @abstractmethod
    async def _geometry(self, driver_id: str, item: Item) -> dict[str, object] | None:
        """Where it is drawn."""


class TripList(_Items):
    """A driver's trips."""

    table = "trips"
    columns = TRIP_COLUMNS
    drawn_max = LINES_MAX
    shape = staticmethod(trip_of)

    async def _geometry(self, driver_id: str, item: Item) -> dict[str, object] | None:
        return geometry(await line(self._history, driver_id, item["start_time"], item["end_time"]))


class StopList(_Items):
    """A driver's stops."""

    table = "stops"
    columns = STOP_COLUMNS
    shape = staticmethod(stop_of)

    async def _geometry(self, driver_id: str, item: Item) -> dict[str, object] | None:
        return {"type": "Point", "coordinates": (item["longitude"], item["latitude"])}
