"""`/api/v1/fleet/deliveries`: how many, how long under way, how many on time."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import falcon.asgi

from common.access.policy import Action
from ingest.http.access import Access
from ingest.http.queries.insight import BUCKETS_MAX
from ingest.http.queries.next_page import link_next
from ingest.http.queries.orders import DeliveriesQuery, read_deliveries_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.history import History
from ingest.resources.insight.shapes import CSV_TYPE, JSON_TYPE, Item, Row, csv_of
from ingest.resources.route.page import dump

_SQL = files(__package__).joinpath("deliveries.sql").read_text()
# What the rows are grouped by. An order without a driver belongs to no driver's row.
_KEYS = {
    "none": ("true", ">="),
    "driver": ("driver_id", ">"),
    "hour": ("date_trunc('hour', over_at, 'UTC')", ">="),
}
_NAMES = {"none": None, "driver": "driver_id", "hour": "start_time"}
PERCENTILES = ("p50", "p90", "p95", "p99", "max")
COLUMNS = (
    "delivered", "cancelled", "promised", "on_time", "on_time_share",
    *(f"under_way_{name}_s" for name in PERCENTILES), "under_way_mean_s", "distance_m",
)  # fmt: skip
NONE = {
    "delivered": 0, "cancelled": 0, "promised": 0, "on_time": 0, "under_way_s": None,
    "under_way_mean_s": None, "distance_m": None,
}  # fmt: skip


def deliveries_sql(group: str) -> str:
    """The question for one way to group."""
    key, after = _KEYS[group]
    return _SQL.format(key=key, after=after)


def counts_of(row: Row) -> Item:
    """One row: counts, a share from 0 to 1, seconds, metres; null where there is nothing."""
    promised, on_time = row["promised"], row["on_time"]
    percentiles = row["under_way_s"] or [None] * len(PERCENTILES)
    return {
        "delivered": row["delivered"],
        "cancelled": row["cancelled"],
        "promised": promised,
        "on_time": on_time,
        "on_time_share": round(on_time / promised, 4) if promised else None,
        **{
            f"under_way_{name}_s": _rounded(value)
            for name, value in zip(PERCENTILES, percentiles, strict=True)
        },
        "under_way_mean_s": _rounded(row["under_way_mean_s"]),
        "distance_m": _rounded(row["distance_m"]),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class FleetDeliveries:
    """All orders that were over in a span; a delivery counts when it was delivered."""

    def __init__(self, database: History, access: Access, reads: ReadLimiter) -> None:
        self._database = database
        self._access = access
        self._reads = reads

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The total, and rows by driver or hour; a Link header leads to further drivers."""
        principal = self._access.admit(req, Action.READ_FLEET)
        query = read_deliveries_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            rows = await self._database.read(deliveries_sql("none"), query.start, query.end, "", 1)
            total = counts_of(rows[0] if rows else NONE)
            items, cursor = await self._rows(query)
            if query.format == "csv":
                resp.content_type = CSV_TYPE
                resp.data = _table(query, items, total)
            else:
                resp.content_type = JSON_TYPE
                resp.data = dump(_body(query, items, total, cursor))
        link_next(req, resp, query, cursor)

    on_head = on_get

    async def _rows(self, query: DeliveriesQuery) -> tuple[list[Item], str]:
        name = _NAMES[query.group]
        if name is None:
            return [], ""
        by_driver = query.group == "driver"
        rows = await self._database.read(
            deliveries_sql(query.group),
            query.start,
            query.end,
            query.after if by_driver else "",
            query.limit + 1 if by_driver else BUCKETS_MAX + 1,
        )
        shown = rows[: query.limit] if by_driver else rows
        cursor = shown[-1]["key"] if len(rows) > len(shown) else ""
        return [{name: row["key"], **counts_of(row)} for row in shown], cursor


def _table(query: DeliveriesQuery, items: list[Item], total: Item) -> bytes:
    name = _NAMES[query.group]
    return csv_of(COLUMNS, [total]) if name is None else csv_of((name, *COLUMNS), items)


def _body(query: DeliveriesQuery, items: list[Item], total: Item, cursor: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "start_time": query.start,
        "end_time": query.end,
        "group": query.group,
        "count": len(items),
    }
    if query.group != "none":
        body["deliveries"] = items
    return {**body, "total": total, "next_cursor": cursor or None}
