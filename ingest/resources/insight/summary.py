"""`/api/v1/drivers/{driver_id}/summary` and `/api/v1/fleet/summary`: sums of whole quarters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from heapq import merge
from importlib.resources import files
from itertools import chain, groupby, islice
from operator import itemgetter

import falcon.asgi

from common.access.policy import Action
from common.errors import Fault, InvalidUpdate
from ingest.http.access import Access
from ingest.http.queries.insight import (
    DRIVERS_MAX,
    UTC_ZONE,
    SummaryQuery,
    read_fleet_query,
    read_summary_query,
)
from ingest.http.queries.next_page import link_next
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.history import History
from ingest.resources.insight.shapes import (
    CSV_TYPE,
    JSON_TYPE,
    SUMS,
    Item,
    Row,
    csv_of,
    sums_of,
    total_of,
)
from ingest.resources.route.page import dump


def _sql(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text()


_BUCKETS, _FLEET, _FLEET_BUCKETS = _sql("buckets"), _sql("fleet"), _sql("fleet_buckets")


class _Summary:
    """What both have: the history, who may ask, and turns."""

    def __init__(self, history: Histories, access: Access, reads: ReadLimiter) -> None:
        self._history = history
        self._access = access
        self._reads = reads

    async def _require_zone(self, query: SummaryQuery, history: History) -> None:
        """Raise `InvalidUpdate` for a zone that there is not, whether or not a row needs it."""
        if query.tz == UTC_ZONE:
            return
        try:
            await history.read("SELECT now() AT TIME ZONE $1", query.tz)
        except InvalidUpdate as e:
            raise InvalidUpdate(f"tz: {e.detail}", faults=(Fault("tz", e.detail),)) from e


class DriverSummary(_Summary):
    """One driver's sums, in all or by hour or day."""

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """The buckets in which something was, and the total."""
        principal = self._access.admit(req, Action.READ_DRIVER, driver_id=driver_id)
        query = read_summary_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            history = self._history.of(driver_id)
            await self._require_zone(query, history)
            asked = (query.start, query.end, query.by, query.tz)
            rows = await history.read(_BUCKETS, driver_id, *asked)
            buckets = [
                {"start_time": row["starts"], "end_time": row["ends"], **sums_of(row)}
                for row in rows
            ]
            if query.format == "csv":
                resp.content_type = CSV_TYPE
                columns = ("driver_id", "start_time", "end_time", *SUMS)
                resp.data = csv_of(columns, [{"driver_id": driver_id, **b} for b in buckets])
                return
            resp.content_type = JSON_TYPE
            body = {"driver_id": driver_id, **_facts(query)}
            resp.data = dump({**body, "buckets": buckets, "total": total_of(buckets)})

    on_head = on_get


class FleetSummary(_Summary):
    """Everybody's sums, driver by driver or all together."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Drivers with fixes in the span in order of their ids; a Link header leads on."""
        principal = self._access.admit(req, Action.READ_FLEET)
        query = read_fleet_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            await self._require_zone(query, self._history.home)
            if query.group == "none":
                drivers, cursor = await self._all(query), ""
            else:
                drivers, cursor = await self._page(query)
            if query.by and query.group == "driver":
                await self._add_buckets(drivers, query)
            self._answer(resp, query, drivers, cursor)
        link_next(req, resp, query, cursor)

    on_head = on_get

    async def _page(self, query: SummaryQuery) -> tuple[list[Item], str]:
        rows = await self._drivers(query, query.after, query.limit + 1)
        drivers = [{"driver_id": row["driver_id"], **sums_of(row)} for row in rows[: query.limit]]
        return drivers, drivers[-1]["driver_id"] if len(rows) > query.limit else ""

    async def _all(self, query: SummaryQuery) -> list[Item]:
        """Everybody, a page after the other: one question never takes too long."""
        drivers: list[Item] = []
        after = ""
        while True:
            rows = await self._drivers(query, after, DRIVERS_MAX)
            drivers += [{"driver_id": row["driver_id"], **sums_of(row)} for row in rows]
            if len(rows) < DRIVERS_MAX:
                return drivers
            after = drivers[-1]["driver_id"]

    async def _drivers(self, query: SummaryQuery, after: str, limit: int) -> list[Row]:
        """The first drivers after one, in order of their ids; each is in one database."""
        found = await self._history.read_all(_FLEET, query.start, query.end, after, limit)
        return list(islice(merge(*found, key=itemgetter("driver_id")), limit))

    async def _add_buckets(self, drivers: Sequence[Item], query: SummaryQuery) -> None:
        names = [driver["driver_id"] for driver in drivers]
        asked = (names, query.start, query.end, query.by, query.tz)
        rows = chain(*await self._history.read_all(_FLEET_BUCKETS, *asked))
        buckets = {
            name: [
                {
                    "start_time": row["starts"],
                    "distance_m": round(row["distance_m"], 3),
                    "moving_s": row["moving_s"],
                    "stopped_s": round(row["stopped_s"], 6),
                }
                for row in of
            ]
            for name, of in groupby(rows, itemgetter("driver_id"))
        }
        for driver in drivers:
            driver["buckets"] = buckets.get(driver["driver_id"], [])

    def _answer(
        self, resp: falcon.asgi.Response, query: SummaryQuery, drivers: list[Item], cursor: str
    ) -> None:
        if query.format == "csv":
            resp.content_type = CSV_TYPE
            if query.group == "none":
                resp.data = csv_of(
                    ("drivers", *SUMS), [{"drivers": len(drivers), **total_of(drivers)}]
                )
            else:
                resp.data = csv_of(("driver_id", *SUMS), drivers)
            return
        resp.content_type = JSON_TYPE
        body: Item = {**_facts(query), "group": query.group, "count": len(drivers)}
        if query.group == "driver":
            body["drivers"] = drivers
        body["total"] = total_of(drivers)
        resp.data = dump({**body, "next_cursor": cursor or None})


def _facts(query: SummaryQuery) -> Item:
    return {
        "start_time": query.start,
        "end_time": query.end,
        "by": query.by or None,
        "tz": query.tz,
    }
