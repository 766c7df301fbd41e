"""Events that a follower found in another database than home, brought there.

They are recorded where their trips are, in one transaction with them. From there they are moved:
an event has an identity, so one that is moved twice is there once, whatever is cut off.
"""

from collections.abc import Awaitable, Callable

import asyncpg

from common.events.record import COLUMNS, happening_of, record

# Events moved at once.
PAGE = 500
_FOUND = f"SELECT seq, {COLUMNS} FROM events ORDER BY seq LIMIT {PAGE}"  # noqa: S608
_MOVED = "DELETE FROM events WHERE seq = ANY($1::bigint[])"


class HomeEvents:
    """Brings events home, over a connection that is made when there are some."""

    def __init__(self, connect_home: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect_home = connect_home
        self._home: asyncpg.Connection | None = None

    async def bring(self, connection: asyncpg.Connection) -> int:
        """Move what is there; how many. Raises what asyncpg raises."""
        moved = 0
        while rows := await connection.fetch(_FOUND):
            home = await self._connected()
            async with home.transaction():
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
