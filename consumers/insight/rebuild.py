"""What makes everything be folded again: other rules, rows without marks, a person's wish."""

from datetime import datetime

import asyncpg

from common.event import EPOCH
from common.log import get
from consumers.insight.fold.rules import Rules

# Whoever is folded at all, from a time on; a mark that is older stays.
_MARK = """
INSERT INTO insight_repairs AS known (driver_id, share, since)
SELECT driver_id, share, $1 FROM insight_state WHERE $2::text IS NULL OR driver_id = $2
ON CONFLICT (driver_id) DO UPDATE SET since = least(known.since, excluded.since)
"""
_log = get("insight")


async def mark(connection: asyncpg.Connection, since: datetime, driver_id: str | None) -> int:
    """Have one driver, or all, folded again from `since` on; returns how many are marked.

    For all it also looks at every day again for drivers that are not folded yet.
    """
    async with connection.transaction():
        status = await connection.execute(_MARK, since, driver_id)
        if driver_id is None:
            await connection.execute("DELETE FROM insight_shares WHERE swept_to > $1", since)
    return int(status.rsplit(" ", 1)[1])


async def waiting(connection: asyncpg.Connection) -> int:
    """Drivers that are still to be folded again."""
    return int(await connection.fetchval("SELECT count(*) FROM insight_repairs"))


async def left_since(connection: asyncpg.Connection, since: datetime) -> int:
    """Drivers that an earlier `mark` from `since` on, or before it, has left."""
    return int(
        await connection.fetchval("SELECT count(*) FROM insight_repairs WHERE since <= $1", since)
    )


async def rules_used(connection: asyncpg.Connection) -> str | None:
    """The rules that everything was computed by; None before the first follower."""
    rules: str | None = await connection.fetchval("SELECT rules FROM insight_settings")
    return rules


async def adopt(connection: asyncpg.Connection, rules: Rules) -> bool:
    """Have everything folded again where it was by other rules, or rows came without marks.

    True when rows may be under way that leave no mark: the first turn must wait INSIGHT_LAG_S.
    """
    look = "SELECT rules, unmarked FROM insight_settings"
    [row] = await connection.fetch(look)
    if row["rules"] == repr(rules) and not row["unmarked"]:
        return False
    async with connection.transaction():
        [row] = await connection.fetch(f"{look} FOR UPDATE")
        await connection.execute(
            "UPDATE insight_settings SET rules = $1, unmarked = false", repr(rules)
        )
        if row["unmarked"]:
            await connection.execute("DELETE FROM insight_late")
        if row["rules"] is not None:
            drivers = await mark(connection, EPOCH, None)
            _log.warning("insight.rebuild", drivers=drivers, rules=repr(rules), was=row["rules"])
    return row["rules"] is None or bool(row["unmarked"])
