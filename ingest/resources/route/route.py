"""`/api/v1/drivers/{driver_id}/route`: where a driver was."""

import asyncio
from datetime import UTC, datetime

import falcon
import falcon.asgi

from common.access.policy import Action
from ingest.http.access import Access
from ingest.http.queries.next_page import link_next
from ingest.http.queries.query import RouteQuery, encode_cursor, read_route_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.route.format import FORMATS
from ingest.resources.route.page import PageFacts
from ingest.resources.route.simple import SimpleRoute

# Rows that are formatted in one go, in half a millisecond to one: the worker takes fixes in
# between. Smaller pieces cost more turns of the loop than they spare.
FORMAT_ROWS = 200


class Route:
    """A driver's history, page by page."""

    def __init__(self, history: Histories, access: Access, reads: ReadLimiter) -> None:
        self._access = access
        self._history = history
        self._reads = reads
        # One piece a turn of the loop, however many routes are asked for at once: a fix needs
        # several turns, and each would wait for a piece of every one of them.
        self._formatting = asyncio.Lock()

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """One page, oldest first; a Link header leads to the next in every format."""
        principal = self._access.admit(req, Action.READ_DRIVER, driver_id=driver_id)
        query = read_route_query(req.params, datetime.now(UTC))
        async with self._reads.turn(principal.subject):
            resp.content_type, resp.data, cursor = await self.read(driver_id, query)
        link_next(req, resp, query, cursor)

    async def read(self, driver_id: str, query: RouteQuery) -> tuple[str, bytes, str | None]:
        """Media type and body of a page, and the cursor of the next one if there is one.

        Raises `Overloaded` when the history cannot be read now.
        """
        media_type, new_writer = FORMATS[query.format]
        writer = new_writer(driver_id)
        count, last, cursor = 0, query.start, None
        simple = SimpleRoute(self._history, driver_id, query)
        route = self._history.route(driver_id, query)
        async for rows in simple.pieces() if query.simplify_m else route:
            shown = rows[: query.limit - count]
            for first in range(0, len(shown), FORMAT_ROWS):
                async with self._formatting:
                    writer.add(shown[first : first + FORMAT_ROWS])
                    await asyncio.sleep(0)
            count += len(shown)
            if shown:
                last = shown[-1]["recorded_at"]
            if len(shown) < len(rows):
                cursor = encode_cursor(last)
                break
        if simple.more and cursor is None:
            cursor = encode_cursor(last)
        page = PageFacts(driver_id, query.start, query.end, count, cursor)
        return media_type, writer.finish(page), cursor

    on_head = on_get
