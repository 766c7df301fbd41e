"""What the follower says to the database. One connection of its own; holds no rules.

Its commits need not be on disk at once: state, cursor and results commit together, so a crash of
the database takes back all three, and they are computed again.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from importlib.resources import files

import asyncpg
import orjson

from common.databases import connecting as databases
from common.databases.connecting import ConnectionTerms
from common.databases.seat import Seat
from common.event import EPOCH
from consumers.insight.columns import columns_of
from consumers.insight.fold.results import Results
from consumers.insight.page import Rows

CONNECT_TIMEOUT_S = 5.0
# The longest statement reads 100,000 fixes or lists the drivers of a day; a minute says that the
# database does not answer.
STATEMENT_TIMEOUT_S = 60.0
_SQL = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in files(__package__).joinpath("sql").iterdir()
}
_TABLES = ("stops", "trips", "gaps", "quarters", "cells")


async def connect(
    url: str, seat: Seat | None = None, who: str = "fleetline insight"
) -> asyncpg.Connection:
    """A connection that works in the background: it takes one core at most. `who` needs it."""
    terms = ConnectionTerms(
        "fleetline-insight",
        CONNECT_TIMEOUT_S,
        STATEMENT_TIMEOUT_S,
        session={
            "max_parallel_workers_per_gather": "0",
            "synchronous_commit": "off",
            "jit": "off",
            "lock_timeout": "5s",
        },
        seat=seat,
        needs_session=who,
    )
    return await databases.connect(url, terms)


class Database:
    """Statements over one connection. Not for concurrent use."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def now(self) -> datetime:
        """The database's clock, which marks are made by too."""
        now: datetime = await self.connection.fetchval("SELECT clock_timestamp()")
        return now

    async def days(self) -> list[datetime]:
        """Beginnings of the UTC days that the history holds, oldest first."""
        rows = await self.connection.fetch(
            "SELECT day::timestamp AT TIME ZONE 'UTC' FROM fleetline_history_days() AS day"
        )
        return [row[0] for row in rows]

    async def names(self, day: datetime, after: str, limit: int) -> list[str]:
        """Drivers with fixes on a day, after one of them."""
        rows = await self.connection.fetch(
            _SQL["names"], day, day + timedelta(days=1), after, limit
        )
        return [row[0] for row in rows]

    async def states(self, drivers: Sequence[str]) -> dict[str, tuple[datetime, bytes]]:
        """How far each driver is folded, and the state there."""
        rows = await self.connection.fetch(
            "SELECT driver_id, folded_to, state FROM insight_state WHERE driver_id = ANY($1)",
            drivers,
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def fixes(
        self,
        drivers: Sequence[tuple[str, datetime]],
        span: tuple[datetime, datetime],
        limit: int,
        take: Callable[[Iterable[tuple[int, int, float, float, float, float]]], None],
    ) -> None:
        """The next fixes of each driver after its time, within the span; `take` gets them as they
        come, in order for each driver, so that the database reads on meanwhile.
        """
        rows = Rows()

        async def output(chunk: bytes) -> None:
            take(rows.feed(chunk))

        names, after = zip(*drivers, strict=True)
        await self.connection.copy_from_query(
            _SQL["fixes"], names, after, *span, limit, output=output, format="binary"
        )

    async def boundary(self, driver_id: str, at: datetime, since: datetime) -> datetime | None:
        """The newest boundary at or before a time."""
        found: datetime | None = await self.connection.fetchval(
            _SQL["boundary"], driver_id, at, since
        )
        return found

    async def first_boundary(self, driver_id: str, since: datetime) -> datetime | None:
        """The oldest boundary after a time."""
        found: datetime | None = await self.connection.fetchval(
            _SQL["first_boundary"], driver_id, since
        )
        return found

    async def history_from(self) -> datetime:
        """Before it fixes were dropped."""
        since: datetime = await self.connection.fetchval(
            "SELECT history_from FROM insight_settings"
        )
        return since

    async def around(self, driver_id: str, at: datetime) -> list[asyncpg.Record]:
        """The fix at a time and the one before."""
        return await self.connection.fetch(_SQL["around"], driver_id, at)

    async def cut(self, driver_id: str, since: datetime, sums_since: datetime) -> None:
        """Forget what was computed from a time on."""
        run = self.connection.execute
        for table in ("stops", "trips", "gaps"):
            await run(
                f"DELETE FROM {table} WHERE driver_id = $1 AND started_at >= $2",  # noqa: S608
                driver_id,
                since,
            )
        # The hours are named one by one, because the table's index begins with them.
        await run(
            "DELETE FROM driver_cell_hours WHERE driver_id = $1 AND hour = ANY(ARRAY("
            " SELECT DISTINCT date_trunc('hour', quarter) FROM driver_quarters"
            " WHERE driver_id = $1 AND quarter >= $2))",
            driver_id,
            sums_since,
        )
        await run(
            "DELETE FROM driver_quarters WHERE driver_id = $1 AND quarter >= $2",
            driver_id,
            sums_since,
        )

    async def write(
        self,
        states: Sequence[tuple[str, int, datetime, bytes]],
        results: Iterable[tuple[str, Results]],
        gone: Sequence[tuple[str, datetime]],
    ) -> None:
        """Results, states and cursors; trips of `gone` keys were open and came to nothing."""
        run = self.connection.execute
        if gone:
            await run(
                "DELETE FROM trips USING unnest($1::text[], $2::timestamptz[]) AS g (d, s)"
                " WHERE driver_id = d AND started_at = s",
                *zip(*gone, strict=True),
            )
        columns = columns_of(results)
        for table in _TABLES:
            if table in columns:
                await run(_SQL[table], *columns[table])
        if states:
            await run(_SQL["state"], *zip(*states, strict=True))

    async def gather(self, limit: int, share_of: Callable[[str], int]) -> int:
        """Turn marks into repairs, the oldest time of each driver; returns how many there were."""
        async with self.connection.transaction():
            rows = await self.connection.fetch(_SQL["gather"], limit)
            oldest: dict[str, int] = {}
            for row in rows:
                for driver_id, second in zip(*orjson.loads(row[0]), strict=True):
                    oldest[driver_id] = min(second, oldest.get(driver_id, second))
            if oldest:
                await self._repairs(
                    [
                        (name, share_of(name), EPOCH + timedelta(seconds=second))
                        for name, second in sorted(oldest.items())
                    ]
                )
        return len(rows)

    async def _repairs(self, rows: Sequence[tuple[str, int, datetime]]) -> None:
        await self.connection.execute(_SQL["repairs"], *zip(*rows, strict=True))

    async def swept(self) -> dict[int, datetime]:
        """Up to when each share is folded."""
        rows = await self.connection.fetch("SELECT share, swept_to FROM insight_shares")
        return {row[0]: row[1] for row in rows}

    async def sweep(self, shares: Sequence[int], to: datetime) -> None:
        """Note up to when these shares are folded."""
        await self.connection.execute(
            "INSERT INTO insight_shares SELECT unnest($1::smallint[]), $2"
            " ON CONFLICT (share) DO UPDATE SET swept_to = excluded.swept_to",
            shares,
            to,
        )
