"""The table of the history: rows into PostgreSQL by binary COPY, each stored exactly once.

COPY goes straight into the table; when that collides with a row that is stored already (a client
that retried), or when the caller knows that rows may be there, it goes through a temporary table
and `INSERT … ON CONFLICT DO NOTHING`.

Errors are judged by phase. Connecting, making partitions and time-outs are the table's
unavailability, whatever the exception; only the statements that carry rows can refuse rows.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files

import asyncpg

from common.databases.connecting import ConnectionTerms, connect, is_pooled
from common.databases.seat import Seat
from common.errors import ConfigError, SinkUnavailable
from common.event import COLUMNS, LocationEvent
from common.log import get
from consumers.history.failure import Kind, kind_of
from consumers.history.row import TABLE, Row, row_of
from consumers.history.table_times import TableTimes
from consumers.insight.late import LateRows, Marks

# A connection that cannot be made in this time is tried again by the caller.
CONNECT_TIMEOUT_S = 5.0
# After a collision more are likely (a retrying client sends many): stage this many batches.
STAGED_AFTER_COLLISION = 8
# The driver of rows that are never kept; see `takes_a_row`.
WITNESS = "fleetline-witness"

_STAGE_CREATE = files(__package__).joinpath("stage_create.sql").read_text()
# Where the next transaction may be another session's, it is of this one alone.
_STAGE_CREATE_ONCE = _STAGE_CREATE.replace("ON COMMIT DELETE ROWS", "ON COMMIT DROP")
_STAGE_INSERT = (
    files(__package__).joinpath("stage_insert.sql").read_text().format(columns=", ".join(COLUMNS))
)
_log = get("table")


class RowsRefused(Exception):
    """COPY or INSERT failed with `error`, which may say something of a row. Nothing is stored."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class HistoryTable:
    """One connection to the history. Not for concurrent use.

    `seat`: which of how many databases it must be. `times`: where it says how it answers.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        insight: bool = True,
        seat: Seat | None = None,
        times: TableTimes | None = None,
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._terms = ConnectionTerms(
            "fleetline-consumer", CONNECT_TIMEOUT_S, timeout_s, seat=seat, durable=True
        )
        self._late = LateRows(timeout_s, on=insight)
        self._connection: asyncpg.Connection | None = None
        # Whether a connection has been good once.
        self._was_right = False
        self._days: set[date] = set()
        self._stage_next = 0
        self.times = times or TableTimes()

    async def ensure(self) -> None:
        """Have a connection that answers. Raises `SinkUnavailable`, and at first `ConfigError`."""
        with self._unavailable_on_any_error():
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                await connection.execute("SELECT 1")
                self.times.up = True

    async def store(self, rows: Sequence[Row], *, possibly_stored: bool = False) -> int:
        """Store sorted, unique rows in one transaction; rows stored already are left alone.

        Returns how many were not there. Raises `RowsRefused`, `SinkUnavailable`, `ConfigError`.
        """
        with self._unavailable_on_any_error(), self.times.timed():
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                await self._ensure_days(connection, rows)
                stored = await self._store(connection, rows, possibly_stored=possibly_stored)
        self.times.up = True
        self.times.rows += stored
        return stored

    async def takes_a_row(self) -> bool:
        """Whether the table takes a row now of which nothing can be wrong. It is not kept.

        Raises `SinkUnavailable` or `ConfigError`.
        """
        now = datetime.now(UTC)
        witness = LocationEvent(
            driver_id=WITNESS, recorded_at=now, received_at=now, latitude=0.0, longitude=0.0
        )
        row = row_of(witness)
        with self._unavailable_on_any_error():
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                await self._ensure_days(connection, [row])
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await self._copy(connection, TABLE, [row])
                except RowsRefused:
                    return False
                finally:
                    await transaction.rollback()
        return True

    async def _store(
        self, connection: asyncpg.Connection, rows: Sequence[Row], *, possibly_stored: bool
    ) -> int:
        late = self._late.among(rows)
        if possibly_stored or self._stage_next > 0:
            self._stage_next -= not possibly_stored
            return await self._store_staged(connection, rows, late)
        try:
            if late is None:
                await self._copy(connection, TABLE, rows)
            else:
                async with connection.transaction():
                    await self._copy(connection, TABLE, rows)
                    await self._late.mark(connection, late)
        except asyncpg.UniqueViolationError:
            self._stage_next = STAGED_AFTER_COLLISION
            return await self._store_staged(connection, rows, late)
        self.times.batches["copy"] += 1
        return len(rows)

    async def _store_staged(
        self, connection: asyncpg.Connection, rows: Sequence[Row], late: Marks | None
    ) -> int:
        if not is_pooled(connection):
            await connection.execute(_STAGE_CREATE)
        async with connection.transaction():
            if is_pooled(connection):
                await connection.execute(_STAGE_CREATE_ONCE)
            # Of rows that were there already too: their first try may have been cut off unmarked.
            await self._late.mark(connection, late)
            await self._copy(connection, "locations_stage", rows)
            with self._judged():
                # Answers "INSERT 0 <rows>".
                stored = int((await connection.execute(_STAGE_INSERT)).rpartition(" ")[2])
        self.times.batches["staged"] += 1
        return stored

    async def _copy(self, connection: asyncpg.Connection, table: str, rows: Sequence[Row]) -> None:
        with self._judged():
            await connection.copy_records_to_table(table, records=rows, columns=COLUMNS)

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        """Around a statement with rows: the only errors that can be a row's."""
        try:
            yield
        except Exception as e:
            if _no_partition(e):
                self._days.clear()
                raise SinkUnavailable("a partition was dropped and is made again") from e
            if kind_of(e) in {Kind.RECORD, Kind.UNKNOWN}:
                raise RowsRefused(e) from e
            raise

    async def _ensure_days(self, connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
        days = {row[1].astimezone(UTC).date() for row in rows} - self._days
        if days:
            await connection.execute("SELECT fleetline_ensure_partitions($1::date[])", sorted(days))
            self._days |= days

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connect(self._url, self._terms)
            self._connection = connection
            await self._late.connected(connection)
            self._was_right = True
            _log.info("database.connected")
        return self._connection

    @contextlib.contextmanager
    def _unavailable_on_any_error(self) -> Iterator[None]:
        try:
            yield
        except (RowsRefused, SinkUnavailable):
            raise
        except Exception as e:
            if isinstance(e, ConfigError) and not self._was_right:
                raise
            # One that is set wrong while it is used is away: live positions go on without it.
            self.times.up = False
            self._drop()
            raise SinkUnavailable(f"{type(e).__name__}: {e}") from e

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
