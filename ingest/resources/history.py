"""The history as ingest reads it: routes from PostgreSQL, never on the way of a fix.

Connections are made when a question needs one, so ingest starts and runs without a database; a
connection on which a question failed is dropped, not given back, because its state is unknown.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Any, TypeVar

import asyncpg

from common.databases.connecting import ConnectionTerms, create_pool
from common.databases.seat import Seat
from common.errors import ConfigError, InvalidUpdate, Overloaded
from common.log import Repeated, get
from ingest.http.queries.query import RouteQuery
from ingest.resources.route.page import COLUMNS, Row

ROUTE_SQL = (
    files("ingest.resources")
    .joinpath("route.sql")
    .read_text(encoding="utf-8")
    .format(columns=", ".join(COLUMNS))
)
T = TypeVar("T")

# Rows of one question: they are decoded in one go, and a worker does nothing else meanwhile (about
# 0.8 ms). Fewer cost more questions; an ordinary page of 1,000 is two.
FETCH_ROWS = 501


class History:
    """A small pool of connections, each made on demand. `seat`: which database it must be."""

    def __init__(
        self,
        database_url: str,
        *,
        connections_max: int,
        timeout_s: float,
        seat: Seat | None = None,
    ) -> None:
        self._url = database_url
        self._terms = ConnectionTerms(
            "fleetline-ingest",
            timeout_s,
            session={"statement_timeout": str(round(timeout_s * 1000))},
            seat=seat,
        )
        self._connections_max = connections_max
        self._timeout_s = timeout_s
        self._pool: Any = None
        self._trouble = Repeated(get("ingest"), "database.unreachable")

    async def route(self, driver_id: str, query: RouteQuery) -> AsyncIterator[list[Row]]:
        """Up to `limit` + 1 rows, in pieces: one more than asked for says that a page follows.

        No connection is in use between two pieces. Raises `Overloaded` when the database cannot
        answer now, or not all of it within the timeout.
        """
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        after, left = query.after, query.limit + 1
        while left > 0:
            wanted = min(left, FETCH_ROWS)
            rows: list[Row] = await self._fetch(
                deadline_s, ROUTE_SQL, driver_id, query.start, query.end, after, wanted
            )
            yield rows
            left -= len(rows)
            if len(rows) < wanted:
                return
            after = rows[-1]["recorded_at"]

    async def read(self, sql: str, *args: object) -> list[Row]:
        """The rows of one question.

        Raises `Overloaded` as `route` does, and `InvalidUpdate` where no database could answer:
        a time zone that there is not.
        """
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        return await self._fetch(deadline_s, sql, *args)

    async def answers(self) -> bool:
        """Whether the database answers now."""
        try:
            deadline_s = asyncio.get_running_loop().time() + self._timeout_s
            await self._fetch(deadline_s, "SELECT 1")
        except Overloaded:
            return False
        return True

    async def close(self) -> None:
        """Drop all connections."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """What `work` makes of a connection. Raises `Overloaded` as `route` does."""
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        return await self._run(deadline_s, work)

    async def _fetch(self, deadline_s: float, sql: str, *args: object) -> list[Row]:
        async def fetch(connection: Any) -> list[Row]:
            rows: list[Row] = await connection.fetch(sql, *args)
            return rows

        return await self._run(deadline_s, fetch)

    async def _run(self, deadline_s: float, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout_at(deadline_s):
                done = await self._run_patiently(work)
        except asyncpg.InvalidParameterValueError as e:
            raise InvalidUpdate(str(e)) from e
        except (
            *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
            # Another database than it must be: nothing is to be read from it.
            ConfigError,
        ) as e:
            self._trouble.failed(error=str(e) or type(e).__name__)
            raise Overloaded("the database does not answer now", retry_after_s=2) from e
        self._trouble.healed()
        return done

    async def _run_patiently(self, work: Callable[[Any], Awaitable[T]]) -> T:
        if self._pool is None:
            # With no connection to begin with this neither connects nor waits.
            self._pool = await create_pool(
                self._url, self._terms, connections_max=self._connections_max
            )
        pool = self._pool
        connection = await pool.acquire()
        try:
            done = await work(connection)
        except BaseException:
            # Asking a dead server to cancel, or waiting for it to close, may take for ever. Of a
            # pool that was closed meanwhile there is no connection any more.
            with contextlib.suppress(asyncpg.InterfaceError):
                connection.terminate()
            raise
        finally:
            await pool.release(connection)
        return done
