"""`/api/v1/fleet/arrivals/accuracy`: how right arrivals were, by the minutes that remained.

Everything that was said was said before the order arrived, by what was known then: no number here
was made by looking back.
"""

from datetime import UTC, datetime
from importlib.resources import files
from itertools import groupby
from typing import Any

import falcon.asgi

from common.access.policy import Action
from ingest.http.access import Access
from ingest.http.queries.accuracy import AccuracyQuery, read_accuracy_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.history import History
from ingest.resources.insight.shapes import CSV_TYPE, JSON_TYPE, Item, Row, csv_of
from ingest.resources.route.page import dump

_SQL = files(__package__).joinpath("accuracy.sql").read_text()
_DAYS = {"none": "NULL::date", "day": "(a.arrived_at AT TIME ZONE 'UTC')::date"}
# Classes of the minutes that remained: from, to.
CLASSES: tuple[tuple[int, int | None], ...] = (
    *((0, 2), (2, 5), (5, 10), (10, 20), (20, 40)),
    (40, None),
)
EDGES_S = [60.0 * since for since, _ in CLASSES[1:]]
COLUMNS = (
    *("minutes_from", "minutes_to", "predictions", "orders"),
    *("error_mean_s", "error_p50_s", "error_p90_s", "bias_s", "coverage"),
)
NONE = {"predictions": 0, "orders": 0} | dict.fromkeys(COLUMNS[4:])


def accuracy_sql(group: str) -> str:
    """The question, of the whole span or day by day."""
    return _SQL.format(day=_DAYS[group])


def counts_of(row: Row) -> Item:
    """One class, or all of them: counts, seconds, and the share that the interval held."""
    counts = {name: row[name] for name in ("predictions", "orders")}
    errors = {name: round(row[name], 1) for name in COLUMNS[4:8]}
    return {**counts, **errors, "coverage": round(row["coverage"], 4)}


def tables_of(rows: list[Row]) -> list[Item]:
    """A table for each day, or one alone: its classes, and `total`."""
    tables = []
    for day, some in groupby(rows, key=lambda row: row["day"]):
        classes, total = [], dict(NONE)
        for row in some:
            if row["edge"] is None:
                total = counts_of(row)
                continue
            since, until = CLASSES[row["edge"]]
            classes.append({"minutes_from": since, "minutes_to": until, **counts_of(row)})
        tables.append({"day": day, "accuracy": classes, "total": total})
    return tables


class ArrivalAccuracy:
    """Of orders that were delivered in a span."""

    def __init__(self, database: History, access: Access, reads: ReadLimiter) -> None:
        self._database = database
        self._access = access
        self._reads = reads

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The whole span, or each of its days."""
        principal = self._access.admit(req, Action.READ_FLEET)
        query = read_accuracy_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            rows = await self._database.read(
                accuracy_sql(query.group), query.start, query.end, EDGES_S, query.method
            )
            tables = tables_of(rows)
            if query.format == "csv":
                resp.content_type = CSV_TYPE
                resp.data = _csv(query, tables)
            else:
                resp.content_type = JSON_TYPE
                resp.data = dump(_body(query, tables))

    on_head = on_get


def _csv(query: AccuracyQuery, tables: list[Item]) -> bytes:
    items = [{"day": t["day"], **item} for t in tables for item in t["accuracy"]]
    return csv_of(("day", *COLUMNS) if query.group == "day" else COLUMNS, items)


def _body(query: AccuracyQuery, tables: list[Item]) -> dict[str, Any]:
    asked = {
        "start_time": query.start,
        "end_time": query.end,
        "group": query.group,
        "method": query.method,
    }
    if query.group == "day":
        return {**asked, "days": tables}
    whole = tables[0] if tables else {"accuracy": [], "total": dict(NONE)}
    return {**asked, "accuracy": whole["accuracy"], "total": whole["total"]}
