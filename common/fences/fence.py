"""A fence, as those know it who ask whether a driver is in it. Pure."""

from datetime import datetime

import msgspec

from common.fences.driver_pattern import DriverPattern
from common.fences.schedule import Schedule
from common.geo.shape import Shape

# How far beyond the edge a driver must be to have left: the larger of the two. Fixes of a phone
# that lies still wander by tens of metres; without it a fence's edge makes events all day.
EXIT_MARGIN_M = 20.0
EXIT_MARGIN_SHARE = 0.2


class Fence(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One row of `geofences`, decoded."""

    geofence_id: str
    name: str
    shape: Shape
    drivers: DriverPattern = DriverPattern()
    # Seconds inside after which `geofence.dwell` is told; None: never.
    dwell_s: float | None = None
    schedule: Schedule | None = None
    active: bool = True
    expires_at: datetime | None = None
    version: int = 0

    @property
    def exit_margin_m(self) -> float:
        """How far beyond the edge counts as outside again; areas have no radius."""
        return max(EXIT_MARGIN_M, EXIT_MARGIN_SHARE * self.shape.reach_m)

    def closed_because(self, driver_id: str, when: datetime) -> str | None:
        """Why this driver cannot be in it at this moment; None where it can."""
        if not self.active:
            return "off"
        if self.expires_at is not None and when >= self.expires_at:
            return "expired"
        if not self.drivers.covers(driver_id):
            return "drivers"
        if self.schedule is not None and not self.schedule.open_at(when):
            return "schedule"
        return None
