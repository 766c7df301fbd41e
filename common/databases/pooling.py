"""What stands between us and PostgreSQL: nothing, or a pooler such as PgBouncer, and in which mode.

A pooler gives each of its clients a cancel key of its own, so the process id in it is not the one
that the server's backend says of itself. In session mode a client keeps its backend; in transaction
mode it may have another one for each transaction, so that nothing that belongs to a session can be
relied on: settings, advisory locks, LISTEN, temporary tables, prepared statements.
"""

import enum
from collections.abc import Awaitable, Callable

import asyncpg

Connection = asyncpg.Connection
# A transaction that begins gets the backend that was let go last, which is that of the other
# connection: each look finds it out, but for other clients that come in between.
LOOKS = 6
_PID = "SELECT pg_backend_pid()"


class Pooling(enum.Enum):
    """The mode of a pooler; see the module."""

    SESSION = "session"
    TRANSACTION = "transaction"


class PooledConnection(asyncpg.Connection):
    """A connection that may be given another backend for each transaction.

    To be made with `statement_cache_size=0`: asyncpg then gives no statement a name, which would be
    known to one backend and stay there, and sends each statement in one piece.
    """

    def get_reset_query(self) -> str:
        """Nothing: what it would put in order may be somebody else's session."""
        return ""


async def mode_of(
    connection: Connection, connect_another: Callable[[], Awaitable[Connection]]
) -> Pooling:
    """The mode of the pooler behind two `PooledConnection`. Raises what asyncpg raises."""
    other = await connect_another()
    try:
        first = await connection.fetchval(_PID)
        for _ in range(LOOKS):
            async with other.transaction():
                # Two clients have one backend, or one client has two. In this order, since a pool
                # of one backend has no second to wait for.
                shared = await other.fetchval(_PID) == first
                if shared or await connection.fetchval(_PID) != first:
                    return Pooling.TRANSACTION
    finally:
        other.terminate()
    return Pooling.SESSION
