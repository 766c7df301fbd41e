"""A route without the fixes that a line does not need: `simplify=` metres."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from common.event import EPOCH
from common.geo.simplify import simplify
from ingest.http.queries.query import RouteQuery
from ingest.resources.histories import Histories
from ingest.resources.route.page import Row

# Fixes that are read for one page; a day at 1 Hz is one, a month is several.
FIXES_MAX = 100_000
# Simplified in one go, in a few milliseconds: the worker takes fixes in between.
PIECE_ROWS = 500


class SimpleRoute:
    """The fixes of a route that are kept, in pieces. `more`: the page ended before the span."""

    def __init__(self, history: Histories, driver_id: str, query: RouteQuery) -> None:
        self._history = history
        self._driver_id = driver_id
        self._query = query
        self.more = False

    async def pieces(self) -> AsyncIterator[Sequence[Row]]:
        """Kept rows, oldest first; no other fix lies farther than `simplify_m` from the line."""
        asked = replace(self._query, limit=FIXES_MAX)
        count, last = 0, None
        async for rows in self._history.route(self._driver_id, asked):
            count += len(rows)
            for first in range(0, len(rows), PIECE_ROWS):
                part = rows[first : first + PIECE_ROWS]
                # The line goes on from the last fix that was kept.
                whole = part if last is None else [last, *part]
                kept = [whole[i] for i in self._kept(whole)]
                yield kept if last is None else kept[1:]
                last = kept[-1]
                await asyncio.sleep(0)
        self.more = count > FIXES_MAX

    def _kept(self, rows: Sequence[Row]) -> list[int]:
        points = [
            ((row["recorded_at"] - EPOCH).total_seconds(), row["latitude"], row["longitude"])
            for row in rows
        ]
        return simplify(points, self._query.simplify_m)
