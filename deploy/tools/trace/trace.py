"""A trace: the fixes of a file, in its order, and what became of its other rows. Pure.

Rows keep their order, late ones included: that is what the trace is worth. Every row is judged
alone: it is a fix, or refused, or skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from common.errors import ConfigError
from deploy.tools.trace.fix import RecordedFix, Row, RowJudge
from deploy.tools.trace.times import far_off, span


class CutShort(ValueError):
    """The file breaks off, or cannot be read any further; the rows before that are good."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Fixes in file order. The others are named as in `row 17: latitude is missing`."""

    fixes: tuple[RecordedFix, ...]
    # Rows that are no fix.
    refused: tuple[str, ...] = ()
    # Rows whose time cannot be right: one of them would stretch the replay over years, or make
    # the API refuse all others as too old.
    skipped: tuple[str, ...] = ()
    # What else is to be known of the file.
    notes: tuple[str, ...] = ()

    def rows(self) -> int:
        """Of the file."""
        return len(self.fixes) + len(self.refused) + len(self.skipped)

    def newest(self) -> datetime:
        """The latest time in it."""
        return max(fix.recorded_at for fix in self.fixes)

    def oldest(self) -> datetime:
        """The earliest time in it."""
        return min(fix.recorded_at for fix in self.fixes)

    def duration_s(self) -> float:
        """From its earliest to its latest time."""
        return (self.newest() - self.oldest()).total_seconds()


def collect(rows: Iterator[Row], *, driver: str, name: str, kmh_per_unit: float = 1.0) -> Trace:
    """Judge rows. `driver`, where given, is whose they all are; `name` where a row names nobody.

    Raises `ConfigError` when the first row already cannot be read.
    """
    judge = RowJudge(kmh_per_unit)
    fixes: list[RecordedFix] = []
    refused: list[str] = []
    notes: list[str] = []
    number = 0
    try:
        for row in rows:
            number += 1
            whose = {"driver_id": driver} if driver else {}
            try:
                fixes.append(judge.judge(number, {"driver_id": name, **row, **whose}))
            except ValueError as e:
                refused.append(f"row {number}: {e}")
    except CutShort as e:
        if number == 0:
            raise ConfigError(str(e)) from e
        notes.append(f"cut short or damaged, read up to row {number}: {e}")
    for field, (count, first) in judge.left_out.items():
        notes.append(f"{field}: unknown in {count} of {number} rows ({first})")
    kept, skipped = _split(fixes)
    return Trace(kept, tuple(refused), skipped, tuple(notes))


def _split(fixes: list[RecordedFix]) -> tuple[tuple[RecordedFix, ...], tuple[str, ...]]:
    """Fixes whose time can be right, and the others by name."""
    distances = far_off([fix.recorded_at for fix in fixes])
    kept, skipped = [], []
    for fix, distance_s in zip(fixes, distances, strict=True):
        if distance_s is None:
            kept.append(fix)
        else:
            when = fix.recorded_at.isoformat().replace("+00:00", "Z")
            skipped.append(
                f"row {fix.row}: recorded_at: {when} is {span(distance_s)} from the other rows"
            )
    return tuple(kept), tuple(skipped)
