"""When a driver is in a fence: enter, dwell, exit, each once a visit. Pure.

    enter  at the first fix whose place the fence holds
    dwell  at the first fix that is `dwell_s` later than that, once a visit
    exit   at the second fix in a row that is clear of the fence: beyond its edge by the fence's
           exit margin, and with its accuracy circle beyond the edge too
    exit   as soon as it is found out that the fence is deleted, switched off, expired, out of its
           schedule, or no longer for this driver

Between the edge and the margin a visit goes on: a phone's fixes wander. Only fixes that move the
driver belong here, in their order; the caller sees to both. Times are effective times, so a fix
that is dated in the future counts as of its arrival.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec

from common.event import EPOCH, MICROSECOND, LocationEvent, effective_time
from common.events.happening import Happening, HappeningType
from common.fences.fence import Fence
from consumers.places.rules.fence_index import FenceIndex

# Fixes in a row that must be clear. A single one may be 200 m off and call itself exact.
CLEAR_FIXES = 2


class Visit(msgspec.Struct, frozen=True, gc=False):
    """A driver in a fence: a row of `fence_visits`."""

    entered_at: datetime
    entered_recorded_at: datetime
    dwelt: bool = False
    # Fixes in a row that were clear of the fence.
    outside: int = 0


# Visits of one driver by geofence_id. A change makes another: what is the same object is the same.
Visits = Mapping[str, Visit]
NO_VISITS: Visits = MappingProxyType({})


def follow(
    visits: Visits,
    fix: LocationEvent,
    inside: Sequence[Fence],
    index: FenceIndex,
    found_at: datetime,
) -> tuple[Visits, list[Happening]]:
    """One driver's next fix: the visits after it, and what happened, in order.

    `inside` are the fences whose shape holds the fix, as `index` says. Where nothing changed the
    answer is `visits` itself. Exits come before enters, so that a driver is never told to be in
    the new place while still in the old.
    """
    if not visits and not inside:
        return visits, []
    step = _Step(visits, fix, index, found_at)
    held = {fence.geofence_id for fence in inside}
    for geofence_id, visit in visits.items():
        step.go_on(geofence_id, visit, held)
    for fence in inside:
        step.enter(fence)
    return step.visits, step.happenings


def end_closed(
    driver_id: str, visits: Visits, index: FenceIndex, now: datetime
) -> tuple[Visits, list[Happening]]:
    """Without a fix: end the visits of fences that are closed for this driver by now.

    For after a change of the fences, and once in a while for schedules and expiry. To be asked
    only while no fix is waiting that is older than `now`.
    """
    left: dict[str, Visit] | None = None
    happenings: list[Happening] = []
    for geofence_id, visit in visits.items():
        fence = index.get(geofence_id)
        reason = _closed(fence, driver_id, now)
        if reason is not None:
            left = dict(visits) if left is None else left
            del left[geofence_id]
            happenings.append(
                _ended(driver_id, geofence_id, visit, reason, fence=fence, when=now, found_at=now)
            )
    return (visits if left is None else left), happenings


class _Step:
    """One fix of one driver, while it is worked off."""

    def __init__(
        self, visits: Visits, fix: LocationEvent, index: FenceIndex, found_at: datetime
    ) -> None:
        self.visits = visits
        self.happenings: list[Happening] = []
        self._before = visits
        self._fix = fix
        self._at = effective_time(fix)[0]
        self._index = index
        self._found_at = found_at

    def go_on(self, geofence_id: str, visit: Visit, held: set[str]) -> None:
        """What this fix means for a visit."""
        fix = self._fix
        fence = self._index.get(geofence_id)
        reason = _closed(fence, fix.driver_id, self._at)
        if fence is None or reason is not None:
            self._drop(geofence_id)
            self.happenings.append(
                _ended(
                    fix.driver_id,
                    geofence_id,
                    visit,
                    reason or "deleted",
                    fence=fence,
                    when=self._at,
                    found_at=self._found_at,
                )
            )
        elif geofence_id not in held and self._is_clear(fence):
            self._count_out(fence, visit)
        elif self._is_dwell(fence, visit):
            self._put(geofence_id, msgspec.structs.replace(visit, dwelt=True, outside=0))
            self._tell(HappeningType.FENCE_DWELL, fence, {"duration_s": self._since(visit)})
        elif visit.outside:
            self._put(geofence_id, msgspec.structs.replace(visit, outside=0))

    def enter(self, fence: Fence) -> None:
        """A fence holds this fix: a visit begins, unless there is one or it is closed."""
        if fence.geofence_id in self._before:
            return
        if fence.closed_because(self._fix.driver_id, self._at) is None:
            self._put(fence.geofence_id, Visit(self._at, self._fix.recorded_at))
            self._tell(HappeningType.FENCE_ENTER, fence, {})

    def _count_out(self, fence: Fence, visit: Visit) -> None:
        if visit.outside + 1 < CLEAR_FIXES:
            self._put(fence.geofence_id, msgspec.structs.replace(visit, outside=visit.outside + 1))
            return
        self._drop(fence.geofence_id)
        data = {"duration_s": self._since(visit), "reason": "left"}
        self._tell(HappeningType.FENCE_EXIT, fence, data)

    def _is_clear(self, fence: Fence) -> bool:
        fix = self._fix
        beyond_m = self._index.distance_m(fence, fix.latitude, fix.longitude)
        return beyond_m >= fence.exit_margin_m and beyond_m > (fix.accuracy or 0.0)

    def _is_dwell(self, fence: Fence, visit: Visit) -> bool:
        return (
            fence.dwell_s is not None
            and not visit.dwelt
            and (self._at - visit.entered_at).total_seconds() >= fence.dwell_s
        )

    def _since(self, visit: Visit) -> float:
        return (self._at - visit.entered_at).total_seconds()

    def _tell(self, kind: HappeningType, fence: Fence, data: dict[str, object]) -> None:
        fix = self._fix
        place = {"latitude": fix.latitude, "longitude": fix.longitude}
        self.happenings.append(
            Happening(
                type=kind,
                driver_id=fix.driver_id,
                geofence_id=fence.geofence_id,
                order_id=fix.order_id,
                at=self._found_at,
                recorded_at=fix.recorded_at,
                data={"name": fence.name, **data, **place},
            )
        )

    def _put(self, geofence_id: str, visit: Visit) -> None:
        self.visits = {**self.visits, geofence_id: visit}

    def _drop(self, geofence_id: str) -> None:
        self.visits = {k: v for k, v in self.visits.items() if k != geofence_id}


def _closed(fence: Fence | None, driver_id: str, when: datetime) -> str | None:
    return "deleted" if fence is None else fence.closed_because(driver_id, when)


def _ended(
    driver_id: str,
    geofence_id: str,
    visit: Visit,
    reason: str,
    *,
    fence: Fence | None,
    when: datetime,
    found_at: datetime,
) -> Happening:
    """The exit of a visit that no fix ended: the visit's own beginning tells it from others."""
    duration_s = max(0.0, (when - visit.entered_at).total_seconds())
    data: dict[str, object] = {"duration_s": duration_s, "reason": reason}
    if fence is not None:
        data["name"] = fence.name
    return Happening(
        type=HappeningType.FENCE_EXIT,
        driver_id=driver_id,
        geofence_id=geofence_id,
        at=found_at,
        recorded_at=None,
        data=data,
        key=f"visit {(visit.entered_recorded_at - EPOCH) // MICROSECOND}",
    )
