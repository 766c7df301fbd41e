"""`GET /api/v1/events`: what happened, oldest first, page by page."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import falcon.asgi
import orjson

from common.access.policy import Action
from common.events.record import COLUMNS, happening_of
from ingest.http.access import Access
from ingest.http.queries.events import EventsQuery, read_events_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.history import History

_SELECT = f"SELECT seq, {COLUMNS} FROM events"  # noqa: S608
# The place in the feed at which events of a time begin. Events are recorded in the order of `seq`
# and found out in about that order: clocks of two machines, and two transactions, may differ by
# less than a minute. So the first of the minute that begins with the first one is the first of all.
# OFFSET 0: the minute is read by the index on `at`, not sought along all of `seq`.
_BEGIN = """
seq >= (
    SELECT min(seq) FROM (
        SELECT seq FROM events WHERE at >= $1 AND at < (
            SELECT min(at) FROM events WHERE at >= $1
        ) + interval '1 minute'
        OFFSET 0
    ) AS minute
)
"""

# How often old events are looked for, and how many go at once: some seven millions a day.
DROP_EVERY_S = 60.0
DROP_MAX = 5_000
_DROP = """
WITH old AS (
    SELECT event_id FROM events WHERE at < now() - make_interval(days => $1)
    ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM events USING old WHERE events.event_id = old.event_id
"""


class EventList:
    """The feed."""

    def __init__(self, history: History, access: Access, reads: ReadLimiter) -> None:
        self._history = history
        self._access = access
        self._reads = reads

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """One page; `cursor` leads on from its end, whenever that is asked."""
        principal = self._access.admit(req, Action.READ_EVENTS)
        query = read_events_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            sql, arguments = statement_of(query)
            rows = await self._history.read(sql, *arguments)
            more = len(rows) > query.limit
            rows = rows[: query.limit]
            cursor = str(rows[-1]["seq"]) if rows else None
            body = b",".join(happening_of(row).encode() for row in rows)
        if cursor is None and query.after is not None:
            cursor = str(query.after)
        facts = {"count": len(rows), "next_cursor": cursor if more else None, "cursor": cursor}
        resp.content_type = "application/json"
        resp.data = b'{"events":[' + body + b"]," + orjson.dumps(facts)[1:]
        if more:
            following = {k: v for k, v in req.params.items() if k != "cursor"}
            link = urlencode({**following, "cursor": cursor})
            resp.append_link(f"{req.path}?{link}", "next")

    on_head = on_get


async def drop_old(history: History, days: int) -> None:
    """Drop the oldest events beyond EVENTS_RETENTION_DAYS. Raises `Overloaded`."""
    await history.read(_DROP, days, DROP_MAX)


def statement_of(query: EventsQuery) -> tuple[str, list[object]]:
    """The statement and its arguments: one row more than asked for says that a page follows."""
    conditions: list[str] = []
    arguments: list[object] = []

    def add(condition: str, argument: object) -> None:
        arguments.append(argument)
        conditions.append(condition.format(f"${len(arguments)}"))

    if query.since is not None:
        add("at >= {}", query.since)
        if query.after is None:
            conditions.append(_BEGIN)
    if query.after is not None:
        add("seq > {}", query.after)
    if query.types:
        add("type = ANY({}::text[])", query.types)
    if query.driver_id is not None:
        add("driver_id = {}", query.driver_id)
    if query.geofence_id is not None:
        add("geofence_id = {}", query.geofence_id)
    where = " AND ".join(conditions)
    arguments.append(query.limit + 1)
    return f"{_SELECT} WHERE {where} ORDER BY seq LIMIT ${len(arguments)}", arguments
