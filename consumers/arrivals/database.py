"""The database as this role asks it: now and then, and never on the way of an arrival."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from common.databases.connecting import ConnectionTerms, create_pool
from common.databases.seat import HOME, Seat
from common.errors import ConfigError, Overloaded

# The log is written, and the pace learned, at the same time.
CONNECTIONS_MAX = 3
TIMEOUT_S = 15.0
T = TypeVar("T")


class ArrivalDatabase:
    """A few connections, made when they are needed; one that failed is dropped."""

    def __init__(self, url: str, seat: Seat = HOME) -> None:
        self._url = url
        self._terms = ConnectionTerms(
            "fleetline-arrivals", TIMEOUT_S, session={"jit": "off"}, seat=seat
        )
        self._pool: Any = None

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What `work` makes of a connection. Raises `Overloaded` when the database is away."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._run(work)
        except (
            *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
            # Another database than it must be is as good as none.
            *(asyncpg.InternalClientError, ConfigError),
        ) as e:
            raise Overloaded(f"the database: {str(e) or type(e).__name__}") from e

    async def read(self, sql: str, *args: object) -> Any:
        """The rows of one question. Raises as `run`."""
        return await self.run(lambda connection: connection.fetch(sql, *args))

    async def close(self) -> None:
        """Drop all connections."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        if self._pool is None:
            self._pool = await create_pool(self._url, self._terms, connections_max=CONNECTIONS_MAX)
        connection = await self._pool.acquire()
        try:
            return await work(connection)
        except BaseException:
            # Asking a dead server to cancel may take for ever.
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)
