"""Which stored rows come after the follower may have passed them. Pure; on the history's way.

The follower reads what is older than `INSIGHT_LAG_S`. A row is marked when it could commit after
that: when it is older than the lag less the longest time that a statement of the history may take.
The mark commits with the row, so none goes unnoticed, and the follower folds that driver again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from common.settings.insight import INSIGHT_LAG_S

INSERT_LATE = "INSERT INTO insight_late (drivers, since) VALUES ($1::text[], $2::timestamptz[])"
NOTE_UNMARKED = "UPDATE insight_settings SET unmarked = true WHERE NOT unmarked"

Marks = tuple[list[str], list[datetime]]


def young_for(timeout_s: float) -> timedelta:
    """Rows younger than this need no mark, where a statement may take `timeout_s`."""
    return timedelta(seconds=INSIGHT_LAG_S - timeout_s)


def late_marks(rows: Iterable[Sequence[object]], older_than: datetime) -> Marks | None:
    """Drivers with rows before `older_than`, and the oldest of each.

    `rows` begin with driver and time and are sorted by them. None where no row is late.
    """
    drivers: list[str] = []
    since: list[datetime] = []
    last: object = None
    for row in rows:
        driver_id = row[0]
        if driver_id != last:
            last = driver_id
            recorded_at = row[1]
            if recorded_at < older_than:  # type: ignore[operator]
                drivers.append(driver_id)  # type: ignore[arg-type]
                since.append(recorded_at)  # type: ignore[arg-type]
    return (drivers, since) if drivers else None
