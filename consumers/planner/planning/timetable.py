"""When a vehicle is where, if it makes these visits in this order. Pure.

It goes as early as it may and waits where it is early. Then it leaves as late as it can without
being later at the end (the forward slack of Savelsbergh, "The vehicle routing problem with time
windows: minimizing route duration", 1992): nobody waits at a door who can wait at the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.planner.planning.problem import FOREVER, FleetVehicle, PlanProblem, PlanVisit

# Seconds by which sums of floating numbers may differ; far below any clock.
EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class Call:
    """A visit that is made: arrival, and how long the vehicle waits for its window."""

    visit: PlanVisit
    arrival_s: float
    wait_s: float


@dataclass(frozen=True, slots=True)
class Timetable:
    """A vehicle's route in time. `end_s`: at its end, or where its last visit is done."""

    begin_s: float
    calls: tuple[Call, ...]
    end_s: float
    travel_s: float


def timetable(
    problem: PlanProblem, vehicle: FleetVehicle, visits: Sequence[PlanVisit]
) -> Timetable | None:
    """The route in time; None where there is no way, or a window or the shift is missed."""
    early = _drive(problem, vehicle, visits, vehicle.begin_s)
    if early is None:
        return None
    slack_s = _slack_s(early)
    if slack_s <= EPSILON_S:
        return early
    late = _drive(problem, vehicle, visits, vehicle.begin_s + slack_s)
    # Rounding may cost a window that was met by a hair.
    return late if late is not None and late.end_s <= early.end_s + EPSILON_S else early


def _drive(
    problem: PlanProblem, vehicle: FleetVehicle, visits: Sequence[PlanVisit], begin_s: float
) -> Timetable | None:
    now_s, place, travel_s = begin_s, vehicle.start, 0.0
    calls = []
    for visit in visits:
        leg_s = problem.leg_s(vehicle, place, visit.place)
        if leg_s is None:
            return None
        arrival_s = now_s + leg_s
        service_at_s = begins_at(visit, arrival_s)
        if service_at_s is None:
            return None
        calls.append(Call(visit, arrival_s, service_at_s - arrival_s))
        now_s, place, travel_s = service_at_s + visit.service_s, visit.place, travel_s + leg_s
    if vehicle.end is not None and visits:
        leg_s = problem.leg_s(vehicle, place, vehicle.end)
        if leg_s is None:
            return None
        now_s, travel_s = now_s + leg_s, travel_s + leg_s
    if now_s > vehicle.until_s + EPSILON_S:
        return None
    return Timetable(begin_s, tuple(calls), now_s, travel_s)


def begins_at(visit: PlanVisit, arrival_s: float) -> float | None:
    """When service can begin at the earliest; None where all windows are over."""
    if not visit.windows:
        return arrival_s
    for begin_s, end_s in visit.windows:
        if arrival_s <= end_s + EPSILON_S:
            return max(arrival_s, begin_s)
    return None


def _slack_s(table: Timetable) -> float:
    """How much later the vehicle may leave, and be no later at the end."""
    slack_s, waited_s = FOREVER, 0.0
    for call in table.calls:
        waited_s += call.wait_s
        service_at_s = call.arrival_s + call.wait_s
        closes_s = next(
            (end for _, end in call.visit.windows if service_at_s <= end + EPSILON_S), FOREVER
        )
        slack_s = min(slack_s, closes_s - service_at_s + waited_s)
    return min(slack_s, waited_s)
