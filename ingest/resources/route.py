"""`/api/v1/drivers/{driver_id}/route`: where a driver was."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlencode

import falcon
import falcon.asgi

from common.access.policy import Action
from common.event import require_id
from ingest.http.access import Access
from ingest.http.query import encode_cursor, read_route_query
from ingest.resources.history import History
from ingest.resources.route_format import FORMATS, Page

# From here on a page is formatted beside the event loop: fixes must not wait for it.
ROWS_INLINE_MAX = 200


class Route:
    """A driver's history, page by page."""

    def __init__(self, history: History, access: Access) -> None:
        self._access = access
        self._history = history

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """One page, oldest first; a Link header leads to the next in every format."""
        access = self._access
        access.require(access.principal(req), Action.READ_DRIVER, driver_id=driver_id)
        require_id("driver_id", driver_id)
        query = read_route_query(req.params, datetime.now(UTC))
        rows = await self._history.route(driver_id, query)
        cursor = None
        if len(rows) > query.limit:
            rows = rows[: query.limit]
            cursor = encode_cursor(rows[-1]["recorded_at"])
            # The times are spelled out: defaults would move on between two pages.
            following = {
                "start_time": query.start.isoformat(),
                "end_time": query.end.isoformat(),
                "limit": query.limit,
                "format": query.format,
                "cursor": cursor,
            }
            resp.append_link(f"{req.path}?{urlencode(following)}", "next")
        page = Page(driver_id, query.start, query.end, rows, cursor)
        resp.content_type, encode = FORMATS[query.format]
        if len(rows) > ROWS_INLINE_MAX:
            resp.data = await asyncio.to_thread(encode, page)
        else:
            resp.data = encode(page)

    on_head = on_get
