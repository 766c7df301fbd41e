"""One row of a trace, judged: a fix, or why there is none. Pure.

A driver, a time and a place make a fix. Nothing else is worth one: a value that is no number, or
none that the API takes (-1 stands for unknown in many files), is left out, and counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from common.event import DriverUpdate
from common.ids import is_id
from deploy.tools.trace.number import number_of
from deploy.tools.trace.times import parse_time

REQUIRED = ("driver_id", "recorded_at", "latitude", "longitude")
# What the API takes for each field.
_TYPES = {f.name: f.type for f in msgspec.structs.fields(DriverUpdate)}
OPTIONAL = tuple(name for name in _TYPES if name not in REQUIRED)
FIELDS = (*REQUIRED, *OPTIONAL)
# km/h in one of each unit that a file's speeds may have.
KMH_PER = {"kmh": 1.0, "mps": 3.6, "knots": 1.852, "mph": 1.609344}
# Digits that stay of a speed after its conversion: finer than any receiver.
DIGITS = 6

# Values by field as a file has them: texts or numbers. Under `speed` stands one in the file's
# unit, under `speed_kmh` one in ours.
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RecordedFix:
    """One row: its number in the file, its time, and the rest as the API takes it."""

    row: int
    recorded_at: datetime
    values: Mapping[str, object]

    def body(self, date: datetime) -> dict[str, object]:
        """As an item of a batch, dated anew."""
        return {**self.values, "recorded_at": date.isoformat().replace("+00:00", "Z")}


@dataclass(slots=True)
class RowJudge:
    """Judges rows, and keeps how many values it left out, by field, with the first of them."""

    # km/h in one unit of the file's speeds.
    kmh_per_unit: float = 1.0
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def judge(self, number: int, row: Row) -> RecordedFix:
        """The row as a fix. Raises `ValueError` that names what is wrong."""
        missing = next((name for name in REQUIRED if is_blank(row.get(name))), None)
        if missing is not None:
            raise ValueError(f"{missing} is missing")
        driver_id = _id(row["driver_id"])
        if driver_id is None:
            raise ValueError(f"driver_id: {_shown(row['driver_id'])} is not 1-64 of A-Za-z0-9._:-")
        values: dict[str, object] = {
            "driver_id": driver_id,
            "latitude": _degrees("latitude", row["latitude"]),
            "longitude": _degrees("longitude", row["longitude"]),
        }
        for name in OPTIONAL:
            raw = row.get(name)
            if name == "speed" and not is_blank(row.get("speed_kmh")):
                raw, factor = row["speed_kmh"], 1.0
            else:
                factor = self.kmh_per_unit if name == "speed" else 1.0
            if is_blank(raw):
                continue
            value = _id(raw) if name == "order_id" else _within(name, raw, factor)
            if value is not None:
                values[name] = value
            else:
                count, first = self.left_out.get(name, (0, _shown(raw)))
                self.left_out[name] = count + 1, first
        return RecordedFix(number, parse_time(row["recorded_at"]), values)


def is_blank(value: object) -> bool:
    """Whether a file has nothing there."""
    return value is None or (isinstance(value, str) and not value.strip())


def _id(value: object) -> str | None:
    # Numbers name vehicles and orders in many files.
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text if is_id(text) else None


def _degrees(name: str, value: object) -> float:
    number = number_of(value)
    if number is None:
        raise ValueError(f"{name}: {_shown(value)} is not a number")
    if not _is_taken(name, number):
        raise ValueError(f"{name}: {_shown(value)} is out of range")
    return number


def _within(name: str, value: object, factor: float) -> float | None:
    number = number_of(value)
    if number is not None and factor != 1.0:
        number = number_of(round(number * factor, DIGITS))
    return number if number is not None and _is_taken(name, number) else None


def _is_taken(name: str, number: float) -> bool:
    try:
        msgspec.convert(number, _TYPES[name])
    except msgspec.ValidationError:
        return False
    return True


def _shown(value: object) -> str:
    return repr(str(value)[:40])
