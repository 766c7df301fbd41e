"""Events that a follower found in another database than home, brought there.

They are recorded where their trips are, in one transaction with them. From there they are moved:
an event has an identity, so one that is moved twice is there once, whatever is cut off.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from common.events.record import COLUMNS, happening_of, record

# Events moved at once.
PAGE = 500
# Home takes them in some 10 ms. One that stands still must not hold up another database's follower
# for as long as a statement of its own may last.
HOME_TIMEOUT_S = 5.0
_FOUND = f"SELECT seq, {COLUMNS} FROM events ORDER BY seq LIMIT {PAGE}"  # noqa: S608
_MOVED = "DELETE FROM events WHERE seq = ANY($1::bigint[])"


class HomeEvents:
    """Brings events home, over a connection that is made when there are some."""

    def __init__(self, connect_home: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect_home = connect_home
        self._home: asyncpg.Connection | None = None

    async def bring(self, connection: asyncpg.Connection) -> int:
        """Move what is there; how many. Raises what asyncpg raises, and `TimeoutError`."""
        moved = 0
        while rows := await connection.fetch(_FOUND):
            home = await self._connected()
            async with _at_most(home, HOME_TIMEOUT_S), home.transaction():
                # It is gone here afterwards: home must have it on disk, unlike what can be folded
                # again.
                await home.execute("SET LOCAL synchronous_commit = on")
                await record(home, [happening_of(row) for row in rows])
            await connection.execute(_MOVED, [row["seq"] for row in rows])
            moved += len(rows)
        return moved

    async def _connected(self) -> asyncpg.Connection:
        if self._home is None or self._home.is_closed():
            self._home = await self._connect_home()
        return self._home

    def close(self) -> None:
        """Drop the connection."""
        if self._home is not None:
            self._home.terminate()
            self._home = None


@asynccontextmanager
async def _at_most(home: asyncpg.Connection, seconds: float) -> AsyncIterator[None]:
    """Drop the connection after so long. A task that is cancelled would be waited for: it asks the
    server to cancel, and to roll back.
    """
    cut = asyncio.get_running_loop().call_later(seconds, home.terminate)
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        if cut.when() > asyncio.get_running_loop().time():
            raise
        raise TimeoutError(f"home has not answered for {seconds:g} s") from e
    finally:
        cut.cancel()
