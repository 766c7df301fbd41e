"""Which stored rows come after the follower may have passed them. Pure; on the history's way.

The follower reads what is older than `INSIGHT_LAG_S`. A row is marked when it could commit after
that: when it is older than the lag less the longest time that a statement of the history may take.
The mark commits with the row, so none goes unnoticed, and the follower folds that driver again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson

from common.settings.insight import INSIGHT_LAG_S

# Marks (one a batch) that may wait for a follower. Where nobody follows any more they would pile up
# for ever; past this many it is noted that marks are missing, and the next follower folds all.
MARKS_WAITING_MAX = 100_000
# Before the first follower came nothing was folded, and nothing can be late.
INSERT_LATE = """
WITH room AS (
    SELECT coalesce(max(id) - min(id), 0) < $2 AS left_over FROM insight_late
),
marked AS (
    INSERT INTO insight_late (marks)
    SELECT $1::bytea FROM room, insight_settings
    WHERE left_over AND rules IS NOT NULL AND NOT unmarked
)
UPDATE insight_settings SET unmarked = true FROM room
WHERE NOT left_over AND NOT unmarked
"""
_NOTE_UNMARKED = "UPDATE insight_settings SET unmarked = true WHERE NOT unmarked"

# Drivers, and an epoch second that is not after the oldest late row of each.
Marks = tuple[list[str], list[int]]


def late_marks(rows: Iterable[Sequence[object]], older_than: datetime) -> Marks | None:
    """Drivers with rows before `older_than`, and the second of the oldest of each.

    `rows` begin with driver and time and are sorted by them. None where no row is late.
    """
    drivers: list[str] = []
    since: list[int] = []
    last: object = None
    for row in rows:
        driver_id = row[0]
        if driver_id != last:
            last = driver_id
            recorded_at = row[1]
            if recorded_at < older_than:  # type: ignore[operator]
                drivers.append(driver_id)  # type: ignore[arg-type]
                since.append(int(recorded_at.timestamp() // 1))  # type: ignore[attr-defined]
    return (drivers, since) if drivers else None


class LateRows:
    """The history's side of it: which rows to mark, by the database's clock.

    With INSIGHT=off nothing is marked, and this is noted once: the next follower folds everything.
    """

    def __init__(self, timeout_s: float, *, on: bool) -> None:
        self._on = on
        self._young_for = timedelta(seconds=INSIGHT_LAG_S - timeout_s)
        self._ahead = timedelta()

    async def connected(self, connection: asyncpg.Connection) -> None:
        """Note how far this machine's clock is from the database's."""
        if not self._on:
            await connection.execute(_NOTE_UNMARKED)
            return
        before = datetime.now(UTC)
        ahead = await connection.fetchval("SELECT clock_timestamp()") - before
        self._ahead = ahead

    def among(self, rows: Sequence[Sequence[object]]) -> Marks | None:
        """Marks for those of a batch that are late, or None."""
        if not self._on:
            return None
        return late_marks(rows, datetime.now(UTC) + self._ahead - self._young_for)

    async def mark(self, connection: asyncpg.Connection, marks: Marks | None) -> None:
        """Store the marks, in the transaction of their rows."""
        if marks is not None:
            await connection.execute(INSERT_LATE, orjson.dumps(marks), MARKS_WAITING_MAX)
