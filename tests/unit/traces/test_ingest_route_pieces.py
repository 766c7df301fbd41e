"""A long route is made in pieces: the loop goes on between them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ingest.http.queries.query import ROUTE_FORMATS, ROUTE_POINTS_MAX, RouteQuery, encode_cursor
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.history import FETCH_ROWS
from ingest.resources.route.page import COLUMNS
from ingest.resources.route.route import FORMAT_ROWS, Route

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Rows:
    """A history that hands over so many rows, as the real one does."""

    def __init__(self, count: int) -> None:
        self._rows = [
            {
                **dict.fromkeys(COLUMNS, 1.0),
                "order_id": None,
                "recorded_at": START + timedelta(seconds=n),
                "received_at": START,
            }
            for n in range(count)
        ]

    async def route(self, _driver_id: str, query: RouteQuery) -> AsyncIterator[Sequence[Any]]:
        rows = self._rows[: query.limit + 1]
        for first in range(0, len(rows), FETCH_ROWS):
            yield rows[first : first + FETCH_ROWS]


@pytest.mark.parametrize("form", ROUTE_FORMATS)
def test_the_loop_goes_on_while_a_long_route_is_formatted(form: str) -> None:
    """What broke: one page of 10,000 held up every fix beside it for as long as it took."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(turn)

        turn()
        route = Route(
            cast("Histories", _Rows(ROUTE_POINTS_MAX + 1)), cast("Any", None), ReadLimiter(1, 1)
        )
        query = RouteQuery(START, START + timedelta(days=1), ROUTE_POINTS_MAX, None, form)
        _, body, cursor = await route.read("d", query)
        assert turns >= ROUTE_POINTS_MAX // FORMAT_ROWS
        assert cursor == encode_cursor(START + timedelta(seconds=ROUTE_POINTS_MAX - 1))
        assert len(body) > ROUTE_POINTS_MAX * 50

    asyncio.run(main())
