"""`fleetline retention`: days of the history that are old enough go; what was computed stays.

A day goes as a whole (a partition, or a chunk of TimescaleDB), which takes milliseconds.
"""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
from rich.console import Console

from common.databases.seat import ONLY, Seat
from common.errors import ConfigError
from common.settings import Settings

_DAYS = "SELECT fleetline_history_days()"
# Folded up to when, by those who are least far; nothing where nobody has begun.
_FOLDED = "SELECT min(swept_to) FROM insight_shares HAVING count(*) = $1"


def days_to_drop(days: list[date], today: date, keep_days: int) -> list[date]:
    """Days of which every fix is older than `keep_days`. Pure."""
    return [day for day in days if day < today - timedelta(days=keep_days)]


async def drop_day(connection: asyncpg.Connection, day: date) -> None:
    """Drop a day; what was computed from it is not computed again from what is left."""
    async with connection.transaction():
        after = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        await connection.execute(
            "UPDATE insight_settings SET history_from = greatest(history_from, $1)", after
        )
        await connection.execute("SELECT fleetline_drop_day($1)", day)


async def folded_before(connection: asyncpg.Connection) -> date:
    """The first day that is not computed yet: it must stay, and those after it."""
    from consumers.insight.shares import SHARES

    folded = await connection.fetchval(_FOLDED, SHARES)
    return date.min if folded is None else folded.astimezone(UTC).date()


def run(settings: Settings, *, dry_run: bool) -> int:
    """Drop what HISTORY_RETENTION_DAYS says. Returns the exit status."""
    if not settings.history_retention_days:
        raise ConfigError("HISTORY_RETENTION_DAYS: is not set, so the history is kept")
    return asyncio.run(_run(settings, dry_run=dry_run))


async def _run(settings: Settings, *, dry_run: bool) -> int:
    from deploy.tools.stack_database import stack_databases

    statuses = [
        await _drop_in(settings, seat, dry_run=dry_run) for seat in stack_databases(settings)
    ]
    return max(statuses)


async def _drop_in(settings: Settings, seat: Seat, *, dry_run: bool) -> int:
    from deploy.tools.stack_database import stack_database

    console = Console(highlight=False)
    if seat != ONLY:
        console.print(f"{seat}:")
    async with stack_database(settings, seat) as connection:
        days = [row[0] for row in await connection.fetch(_DAYS)]
        today = datetime.now(UTC).date()
        old = days_to_drop(days, today, settings.history_retention_days)
        folded = await folded_before(connection) if settings.insight == "on" else today
        kept = [day for day in old if day >= folded]
        for day in [day for day in old if day < folded]:
            try:
                if not dry_run:
                    await drop_day(connection, day)
            except asyncpg.LockNotAvailableError:
                kept.append(day)
                console.print(f"{day}: stays, it is being read (by a backup, perhaps)")
            else:
                console.print(f"{day}: {'would be dropped' if dry_run else 'dropped'}")
        for day in [day for day in kept if day >= folded]:
            console.print(f"{day}: stays until trips and sums are computed from it")
        if not old:
            console.print(f"nothing is older than {settings.history_retention_days} days")
    return 1 if kept else 0
