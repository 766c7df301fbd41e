"""Examples are of today: what bears a date of last month is refused as too old. Pure.

A worker runs for months, so the tables hold `Dated` values, and a day is filled in each time the
document is made.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any


@dataclass(frozen=True, slots=True)
class Dated:
    """An example with `{day}` (ISO 8601) or `{epoch_s}` (its midnight, UTC) in it."""

    text: str
    kind: type[str] | type[int] = str

    def on(self, day: date) -> str | int:
        """The example as it is on `day`."""
        midnight = datetime.combine(day, time(), UTC)
        return self.kind(self.text.format(day=day.isoformat(), epoch_s=int(midnight.timestamp())))


def dated(value: Any, day: date) -> Any:
    """`value` (JSON with `Dated` in it) as it is on `day`."""
    if isinstance(value, Dated):
        return value.on(day)
    if isinstance(value, dict):
        return {key: dated(inner, day) for key, inner in value.items()}
    return [dated(inner, day) for inner in value] if isinstance(value, list) else value
