"""What is asked for, from its bytes to a problem. Raises `InvalidUpdate` with all faults. Pure."""

from datetime import datetime

from common.bodies.fault_list import FaultList
from common.plans.body import PlanBody
from common.plans.messages import LookedUp
from consumers.planner.reading.clock import read_clock
from consumers.planner.reading.forming import Draft, form
from consumers.planner.reading.judge import judge_entries, judge_kept
from consumers.planner.reading.keeping import kept_of
from consumers.planner.reading.shape import read_body


def read_plan(data: bytes) -> PlanBody:
    """The body, each entry of which is good in itself."""
    faults = FaultList()
    body = read_body(data, faults)
    faults.refuse()
    if body is None:
        raise AssertionError("no fault, and no body")
    judge_entries(body, faults)
    faults.refuse()
    return body


def draft_of(body: PlanBody, looked_up: LookedUp, now: datetime) -> Draft:
    """Its problem, with what was looked up."""
    faults = FaultList()
    for n, vehicle in enumerate(body.vehicles):
        if vehicle.start is None and vehicle.driver_id not in looked_up.positions:
            faults.add(f"vehicles[{n}].driver_id", "has no live position; give a start")
    kept = kept_of(body, looked_up, faults)
    judge_kept(body, kept, faults)
    clock = read_clock(body, now, faults)
    faults.refuse()
    return form(body, clock, kept, looked_up)
