"""The sink: rows into PostgreSQL by binary COPY, each stored exactly once. Holds no rules.

COPY goes straight into the table; when that collides with a row that is stored already (a client
that retried), or when the caller knows that rows may be there, it goes through a temporary table
and `INSERT … ON CONFLICT DO NOTHING`, which also says which of them differ from what is stored.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, date
from importlib.resources import files

import asyncpg

from common.errors import ConfigError, SinkUnavailable
from common.log import get
from consumers.history.failure import Kind, kind_of
from consumers.history.row import COLUMNS, TABLE, Row

# A connection that cannot be made in this time is tried again by the caller.
CONNECT_TIMEOUT_S = 5.0
# After a collision more are likely (a retrying client sends many): stage this many batches.
STAGED_AFTER_COLLISION = 8

_STAGE_CREATE = files(__package__).joinpath("stage_create.sql").read_text()
_STAGE_INSERT = files(__package__).joinpath("stage_insert.sql").read_text()
_log = get("sink")


class Sink:
    """One connection to the history. Not for concurrent use."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection | None = None
        self._days: set[date] = set()
        self._stage_next = 0

    async def ensure(self) -> None:
        """Have a connection that answers. Raises `SinkUnavailable` or `ConfigError`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                await connection.execute("SELECT 1")
        except ConfigError:
            raise
        except Exception as e:
            raise self._unavailable(e) from e

    async def store(self, rows: Sequence[Row], *, redelivered: bool = False) -> list[Row]:
        """Store sorted, unique rows in one transaction; rows stored already are left alone.

        Returns the stored rows of those keys for which `rows` says something else.

        Raises `SinkUnavailable` when the database cannot take rows now. Any other error says
        that these rows were refused, and nothing of them is stored.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._store(rows, redelivered=redelivered)
        except ConfigError:
            raise
        except Exception as e:
            if kind_of(e) is Kind.INFRASTRUCTURE:
                raise self._unavailable(e) from e
            if _no_partition(e):
                self._days.clear()
                raise SinkUnavailable("a partition was dropped and is made again") from e
            raise

    async def _store(self, rows: Sequence[Row], *, redelivered: bool) -> list[Row]:
        connection = await self._connected()
        await self._ensure_days(connection, rows)
        if redelivered or self._stage_next > 0:
            self._stage_next -= not redelivered
            return await self._store_staged(connection, rows)
        try:
            await connection.copy_records_to_table(TABLE, records=rows, columns=COLUMNS)
        except asyncpg.UniqueViolationError:
            self._stage_next = STAGED_AFTER_COLLISION
            return await self._store_staged(connection, rows)
        return []

    async def _store_staged(self, connection: asyncpg.Connection, rows: Sequence[Row]) -> list[Row]:
        await connection.execute(_STAGE_CREATE)
        async with connection.transaction():
            await connection.copy_records_to_table("locations_stage", records=rows, columns=COLUMNS)
            return [tuple(stored) for stored in await connection.fetch(_STAGE_INSERT)]

    async def _ensure_days(self, connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
        days = {row[1].astimezone(UTC).date() for row in rows} - self._days
        if days:
            await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", sorted(days))
            self._days |= days

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await asyncpg.connect(
                self._url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=self._timeout_s,
                server_settings={"application_name": "fleetline-consumer"},
            )
            self._connection = connection
            if await connection.fetchval("SHOW synchronous_commit") == "off":
                raise ConfigError(
                    "DATABASE_URL: synchronous_commit is off, so a crash of the database would "
                    "lose what was acknowledged; set it to on"
                )
            _log.info("database.connected")
        return self._connection

    def _unavailable(self, error: Exception) -> SinkUnavailable:
        self._drop()
        return SinkUnavailable(f"{type(error).__name__}: {error}")

    def _drop(self) -> None:
        # close() can wait for ever on a server that hangs; terminate() cannot.
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._days.clear()

    async def close(self) -> None:
        """Close the connection, politely if that is quick."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                await self._connection.close(timeout=1.0)
            self._drop()


def _no_partition(error: Exception) -> bool:
    # 23514 is a violated check; a missing partition has no constraint's name.
    return (
        isinstance(error, asyncpg.CheckViolationError)
        and not error.constraint_name
        and "no partition" in str(error)
    )
