"""The times of a plan: what they are counted from, and in which words they are answered. Pure."""

from datetime import UTC, datetime, timedelta

from common.bodies.fault_list import FaultList
from common.plans.body import PlanBody, PlanTime, Window
from common.plans.limits import SPAN_S_MAX

# Answers in seconds are rounded to this many digits, which is far below any clock.
DIGITS = 6
_MILLISECONDS = 1e3


class PlanClock:
    """Counts seconds: from 0 where a matrix is given and no time is RFC 3339, else since 1970."""

    def __init__(self, now: datetime, *, counts_from_zero: bool) -> None:
        self._counts_from_zero = counts_from_zero
        self.now_s = 0.0 if counts_from_zero else now.timestamp()

    def seconds(self, time: PlanTime) -> float:
        """`time` on this clock."""
        return time.timestamp() if isinstance(time, datetime) else float(time)

    def shown(self, seconds: float) -> datetime | float:
        """A time of this clock as it is answered: to the millisecond, or in seconds."""
        if self._counts_from_zero:
            return round(seconds, DIGITS)
        whole = round(seconds * _MILLISECONDS)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=whole)


def read_clock(body: PlanBody, now: datetime, faults: FaultList) -> PlanClock:
    """The clock of a plan; all its times are judged by it."""
    named = list(_times(body))
    dated = any(isinstance(time, datetime) for _, time in named)
    counts_from_zero = body.matrix is not None and not dated
    for where, time in named:
        if isinstance(time, datetime):
            continue
        if body.matrix is None:
            faults.add(where, "must be RFC 3339; seconds go with a matrix")
        elif dated:
            faults.add(where, "must be RFC 3339, as other times of this plan are")
    clock = PlanClock(now, counts_from_zero=counts_from_zero)
    if faults:
        return clock
    for where, window in _windows(body):
        begin_s, end_s = clock.seconds(window[0]), clock.seconds(window[1])
        if begin_s > end_s:
            faults.add(where, "ends before it begins")
        elif begin_s > clock.now_s + SPAN_S_MAX:
            faults.add(f"{where}[0]", "is more than a year ahead")
        elif where.endswith("shift") and begin_s < clock.now_s - SPAN_S_MAX:
            faults.add(f"{where}[0]", "is more than a year ago")
    return clock


def _windows(body: PlanBody) -> list[tuple[str, Window]]:
    """All windows and shifts, with their places."""
    found = [
        (f"vehicles[{n}].shift", vehicle.shift)
        for n, vehicle in enumerate(body.vehicles)
        if vehicle.shift is not None
    ]
    owners = [(f"jobs[{n}]", job.windows) for n, job in enumerate(body.jobs)]
    for n, shipment in enumerate(body.shipments):
        owners.append((f"shipments[{n}].delivery", shipment.delivery.windows))
        if shipment.pickup is not None:
            owners.append((f"shipments[{n}].pickup", shipment.pickup.windows))
    for where, windows in owners:
        found += [(f"{where}.windows[{n}]", window) for n, window in enumerate(windows or ())]
    return found


def _times(body: PlanBody) -> list[tuple[str, PlanTime]]:
    return [
        (f"{where}[{side}]", time)
        for where, window in _windows(body)
        for side, time in enumerate(window)
    ]
