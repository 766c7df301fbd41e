"""Whether databases that are to be split hold the same: what a copy lacks would be lost."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from common.errors import ConfigError

# Fixes that were stored while somebody copied are of the newest days, nearly all of them. To count
# the whole history would take hours where it is large.
DAYS_COUNTED = 2
_COUNT = "SELECT count(*) FROM locations WHERE recorded_at >= $1 AND recorded_at < $2"
_DAYS = "SELECT d FROM fleetline_history_days() AS d ORDER BY d DESC"

Connection = asyncpg.Connection


async def require_copies(connections: Sequence[Connection], originals: int) -> None:
    """Raise `ConfigError` where number n does not hold what number n modulo `originals` does."""
    held = [await _held(connection) for connection in connections]
    for number, holds in enumerate(held):
        if holds != held[number % originals]:
            raise ConfigError(
                f"DATABASE_URLS: number {number + 1} does not hold what number "
                f"{number % originals + 1} does, of which it must be a copy: stop consumers, "
                "then copy it anew"
            )


async def _held(connection: Connection) -> tuple[list[date], list[int]]:
    days = [row[0] for row in await connection.fetch(_DAYS)]
    counted = [await connection.fetchval(_COUNT, *edges(day)) for day in days[:DAYS_COUNTED]]
    return days, counted


def edges(day: date) -> tuple[datetime, datetime]:
    """When a day begins, and the next one."""
    begin = datetime.combine(day, time(), UTC)
    return begin, begin + timedelta(days=1)
