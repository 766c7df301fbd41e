"""When a fence is on: windows of the week, by the clock on the wall of a time zone. Pure.

A window is from `from` up to, not including, `to`. One that ends at or before its beginning goes
on past midnight and belongs to the day on which it begins: `fri` from 22:00 to 06:00 ends on
Saturday morning. The wall's clock decides, also on the days on which it is changed.
"""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ScheduleWindow(msgspec.Struct, frozen=True):
    """Days (0: Monday) and minutes of the day; `to` may be 1,440, the day's end."""

    days: frozenset[int]
    begins: int
    ends: int

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether the window is open at that minute of that day."""
        if self.begins < self.ends:
            return weekday in self.days and self.begins <= minute < self.ends
        if minute >= self.begins:
            return weekday in self.days
        return minute < self.ends and (weekday - 1) % 7 in self.days


class Schedule(msgspec.Struct, frozen=True):
    """The windows of one fence, all in one time zone."""

    zone: ZoneInfo
    windows: Sequence[ScheduleWindow]

    def open_at(self, when: datetime) -> bool:
        """Whether one of the windows is open at this moment."""
        wall = when.astimezone(self.zone)
        weekday, minute = wall.weekday(), wall.hour * 60 + wall.minute
        return any(window.holds(weekday, minute) for window in self.windows)
