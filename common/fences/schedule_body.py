"""A schedule as it is given: judged, and put into its one written form. Pure.

    {"tz": "Europe/Berlin", "windows": [{"days": ["mon", "tue"], "from": "08:00", "to": "18:00"}]}

A single window may stand in the schedule itself, without `windows`. Without `days` it is every
day, without `from` from midnight, without `to` to midnight, without `tz` in UTC.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from common.errors import Fault
from common.fences.limits import WINDOWS_MAX
from common.fences.schedule import WEEKDAYS, Schedule, ScheduleWindow

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_MEMBERS = frozenset(("days", "from", "to"))
_FORM = "must be an object with tz and windows of days, from and to"


class ScheduleReader:
    """Reads one schedule and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, value: object) -> Schedule | None:
        """The schedule; only without faults is it to be used. None is always."""
        if value is None:
            return None
        if not isinstance(value, dict):
            self._fault("schedule", _FORM)
            return None
        windows, where = value.get("windows"), "schedule.windows"
        if windows is None:
            windows, where = [{k: v for k, v in value.items() if k != "tz"}], "schedule"
        if not isinstance(windows, list) or not 1 <= len(windows) <= WINDOWS_MAX:
            self._fault(where, f"must be a list of 1 to {WINDOWS_MAX} windows")
            return None
        bare = where == "schedule"
        read = [
            self._window(window, where if bare else f"{where}[{n}]")
            for n, window in enumerate(windows)
        ]
        return Schedule(self._zone(value.get("tz", "UTC")), read)

    def _fault(self, field: str, detail: str) -> None:
        self.faults.append(Fault(field, detail))

    def _window(self, value: Any, where: str) -> ScheduleWindow:
        if not isinstance(value, dict) or not value.keys() & _MEMBERS:
            self._fault(where, "must have days, from or to")
            return ScheduleWindow(frozenset(), 0, 0)
        if unknown := sorted(value.keys() - _MEMBERS):
            # A misspelt `day` would switch the fence on for the whole week.
            self._fault(where, f"has no {unknown[0][:40]!r}; it has days, from and to")
        begins = self._time(value.get("from", "00:00"), f"{where}.from")
        ends = self._time(value.get("to", "24:00"), f"{where}.to")
        days = self._days(value.get("days"), f"{where}.days")
        if begins == 24 * 60:
            self._fault(f"{where}.from", "must be before 24:00")
        return ScheduleWindow(days, begins, ends)

    def _days(self, value: object, where: str) -> frozenset[int]:
        if value is None:
            return frozenset(range(7))
        if not isinstance(value, list) or not value or not all(d in WEEKDAYS for d in value):
            self._fault(where, f"must be a list of {', '.join(WEEKDAYS)}")
            return frozenset()
        return frozenset(WEEKDAYS.index(day) for day in value)

    def _time(self, value: object, where: str) -> int:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            self._fault(where, "must be a time of the day such as 08:30")
            return 0
        hours, _, minutes = value.partition(":")
        return int(hours) * 60 + int(minutes)

    def _zone(self, value: object) -> ZoneInfo:
        if isinstance(value, str) and len(value) <= 64 and _ZONE.fullmatch(value):
            try:
                return ZoneInfo(value)
            # A folder of the zones is no zone: reading it is an OSError.
            except (KeyError, ValueError, OSError):
                pass
        self._fault("schedule.tz", "must be a time zone such as Europe/Berlin")
        return ZoneInfo("UTC")


def written(schedule: Schedule | None) -> dict[str, object] | None:
    """The schedule's one written form; `ScheduleReader` reads it back."""
    if schedule is None:
        return None
    return {
        "tz": schedule.zone.key,
        "windows": [
            {
                "days": [WEEKDAYS[day] for day in sorted(window.days)],
                "from": _clock(window.begins),
                "to": _clock(window.ends),
            }
            for window in schedule.windows
        ],
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
