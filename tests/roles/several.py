"""Two databases for a test, told that they are two, and eyes on the rows of both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime

import asyncpg

from common.databases.seat import seats
from common.settings import Settings
from deploy.schema.seating import take_seats
from tests.roles.shard import worker_settings
from tests.servers.postgres import Databases

# Drivers of the first and the second of two databases: of shards 0 and 1 of four.
FIRST, SECOND = "d0", "d4"
Rows = list[tuple[str, datetime]]


@contextlib.contextmanager
def two_databases(one: Databases, other: Databases) -> Iterator[tuple[str, str]]:
    """A database of each server, first and second of two; their URLs."""
    names = one.create_database(), other.create_database()
    urls = one.url(names[0]), other.url(names[1])
    try:
        seat_databases(urls)
        yield urls
    finally:
        one.drop_database(names[0])
        other.drop_database(names[1])


def seat_databases(urls: Sequence[str]) -> None:
    """Tell databases that they are these."""
    asyncio.run(take_seats(dict(zip(seats(len(urls)), urls, strict=True))))


def several_settings(redis_url: str, urls: tuple[str, str], **more: object) -> Settings:
    """Settings of a quick worker that stores in both."""
    return worker_settings(redis_url, urls[0], database_urls=",".join(urls), **more)


@contextlib.asynccontextmanager
async def eyes(url: str) -> AsyncIterator["RowsSeen"]:
    """What a database holds, over a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        yield RowsSeen(connection)
    finally:
        connection.terminate()


class RowsSeen:
    """The rows of one database."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def count(self) -> int:
        """How many there are."""
        return int(await self._connection.fetchval("SELECT count(*) FROM locations"))

    async def rows(self) -> Rows:
        """Their identities, in key order."""
        query = "SELECT driver_id, recorded_at FROM locations ORDER BY 1, 2"
        return [tuple(row) for row in await self._connection.fetch(query)]
