"""The history of all drivers, in as many databases as there are (`common.databases.placing`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from common.databases.placing import database_of
from common.databases.seat import seats
from ingest.http.queries.query import RouteQuery
from ingest.resources.history import History
from ingest.resources.route.page import Row


class Histories:
    """A pool for each database. `home` has what no driver divides."""

    def __init__(self, urls: Sequence[str], *, connections_max: int, timeout_s: float) -> None:
        self.all = tuple(
            History(url, connections_max=connections_max, timeout_s=timeout_s, seat=seat)
            for url, seat in zip(urls, seats(len(urls)), strict=True)
        )
        self.home = self.all[0]

    def of(self, driver_id: str) -> History:
        """That of a driver."""
        return self.all[database_of(driver_id, len(self.all))]

    def route(self, driver_id: str, query: RouteQuery) -> AsyncIterator[list[Row]]:
        """A driver's fixes; see `History.route`."""
        return self.of(driver_id).route(driver_id, query)

    async def read_of(self, sql: str, driver_id: str, *args: object) -> list[Row]:
        """The rows of a question about a driver, whose id is its first argument."""
        return await self.of(driver_id).read(sql, driver_id, *args)

    async def read_all(self, sql: str, *args: object) -> list[list[Row]]:
        """The rows that each database answers a question with. Raises as `History.read` when one
        does not: what is asked of everybody has no answer without it.
        """
        if len(self.all) == 1:
            return [await self.home.read(sql, *args)]
        return await asyncio.gather(*(history.read(sql, *args) for history in self.all))

    async def missing(self, within_s: float) -> list[int]:
        """The numbers, from 1, of the databases that do not answer in this time."""
        answers = await asyncio.gather(*(_answers(history, within_s) for history in self.all))
        return [number for number, there in enumerate(answers, 1) if not there]

    async def close(self) -> None:
        """Drop all connections."""
        for history in self.all:
            await history.close()


async def _answers(history: History, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await history.answers()
    except TimeoutError:
        return False
