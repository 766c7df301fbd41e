"""Results as the columns of their tables: arrays, as the statements take them. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from common.event import EPOCH
from consumers.insight.fold.results import SECOND_US, Results

Column = Sequence[object]


def time_of(at_us: int) -> datetime:
    """Microseconds since 1970 as a time."""
    return EPOCH + timedelta(microseconds=at_us)


def us_of(at: datetime) -> int:
    """A time as microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def _maybe(at_us: int) -> datetime | None:
    return None if at_us < 0 else time_of(at_us)


def columns_of(found: Iterable[tuple[str, Results]]) -> dict[str, list[Column]]:
    """Columns by table, of all drivers; tables without rows are left out."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    for driver_id, results in found:
        rows.setdefault("stops", []).extend(
            (driver_id, time_of(r[0]), time_of(r[1]), *r[2:]) for r in results.stops
        )
        rows.setdefault("trips", []).extend(
            (driver_id, time_of(r[0]), time_of(r[1]), *r[2:7], r[7] / SECOND_US, *r[8:])
            for r in results.trips
        )
        rows.setdefault("gaps", []).extend(
            (driver_id, time_of(r[0]), time_of(r[1])) for r in results.gaps
        )
        rows.setdefault("quarters", []).extend(
            (
                driver_id, time_of(r.start_us), _maybe(r.first_us), _maybe(r.last_us), r.fixes,
                r.distance_m, r.tracked_us / SECOND_US, r.moving_us / SECOND_US,
                r.over_limit_us / SECOND_US, r.speed_max if r.speed_max >= 0 else None,
            )
            for r in results.quarters
        )  # fmt: skip
        rows.setdefault("cells", []).extend(
            (
                driver_id, time_of(r.hour_us), r.cell, r.fixes, r.stops, r.distance_m,
                r.moving_us / SECOND_US,
            )
            for r in results.cells
        )  # fmt: skip
    return {table: list(zip(*of, strict=True)) for table, of in rows.items() if of}
