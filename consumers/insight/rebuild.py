"""What makes everything be folded again: other rules, rows without marks, a person's wish."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import asyncpg

from common.event import EPOCH
from common.log import get
from common.settings.insight import INSIGHT_LAG_S
from consumers.insight.fold.rules import Rules

# Whoever is folded at all, from a time on; a mark that is older stays.
_MARK = """
INSERT INTO insight_repairs AS known (driver_id, share, since)
SELECT driver_id, share, $1 FROM insight_state WHERE $2::text IS NULL OR driver_id = $2
ON CONFLICT (driver_id) DO UPDATE SET since = least(known.since, excluded.since)
"""
# Instead of rules: late rows leave marks, and nothing is folded before INSIGHT_LAG_S is over. A
# follower that finds it waits anew: the one that wrote it may have died within that time.
MARKING = "marking"
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
    """The rules that everything was computed by; None before the first follower has begun."""
    rules: str | None = await connection.fetchval("SELECT rules FROM insight_settings")
    return None if rules == MARKING else rules


async def adopt(
    connection: asyncpg.Connection,
    rules: Rules,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Have everything folded again where it was by other rules, or rows came without marks.

    To be done before each turn. Where rows may be under way that leave no mark, it returns after
    INSIGHT_LAG_S: then they are stored, and a first turn sees them.
    """
    while not await _is_settled(connection, rules):
        await wait(INSIGHT_LAG_S)
        # Who stored rows without marks meanwhile makes it begin again.
        await connection.execute(
            "UPDATE insight_settings SET rules = $1 WHERE rules = $2 AND NOT unmarked",
            repr(rules),
            MARKING,
        )


async def _is_settled(connection: asyncpg.Connection, rules: Rules) -> bool:
    """Have every late row marked from here on; whether they were before."""
    look = "SELECT rules, unmarked FROM insight_settings"
    [row] = await connection.fetch(look)
    if row["rules"] == repr(rules) and not row["unmarked"]:
        return True
    async with connection.transaction():
        used, unmarked = (await connection.fetch(f"{look} FOR UPDATE"))[0]
        settled = used not in {None, MARKING} and not unmarked
        await connection.execute(
            "UPDATE insight_settings SET rules = $1, unmarked = false",
            repr(rules) if settled else MARKING,
        )
        if unmarked:
            await connection.execute("DELETE FROM insight_late")
        # What was folded before MARKING stood there is to be folded again already.
        if unmarked or used not in {None, MARKING}:
            drivers = await mark(connection, EPOCH, None)
            _log.warning("insight.rebuild", drivers=drivers, rules=repr(rules), was=used)
    return settled
