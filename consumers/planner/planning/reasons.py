"""Why something is left over, found by looking at each vehicle as if it had nothing else to do.

Pure. The vehicles that are left after each question go on to the next one; the question that none
passes is the reason.
"""

from collections.abc import Sequence
from itertools import pairwise

from common.plans.answer import UnassignedReason
from consumers.planner.planning.problem import FleetVehicle, PlanProblem, Task, added, fits
from consumers.planner.planning.timetable import timetable


def reason_of(problem: PlanProblem, task: Task) -> UnassignedReason:
    """Why no vehicle serves it; `NO_ROOM` where one could that has no time or room for it."""
    return impossible(problem, task) or UnassignedReason.NO_ROOM


def impossible(problem: PlanProblem, task: Task) -> UnassignedReason | None:
    """Why no vehicle could serve it, had it nothing else to do; None where one could."""
    vehicles: Sequence[FleetVehicle] = [
        vehicle
        for index, vehicle in enumerate(problem.vehicles)
        if task.vehicle in (None, index) and task.skills <= vehicle.skills
    ]
    if not vehicles:
        return UnassignedReason.NO_SKILLS
    vehicles = [vehicle for vehicle in vehicles if _has_space(vehicle, task)]
    if not vehicles:
        return UnassignedReason.TOO_LARGE
    vehicles = [vehicle for vehicle in vehicles if _has_way(problem, vehicle, task)]
    if not vehicles:
        return UnassignedReason.NO_WAY
    vehicles = [v for v in vehicles if v.jobs_max is None or v.jobs_max >= len(task.visits)]
    if not vehicles:
        return UnassignedReason.NO_ROOM
    if any(timetable(problem, vehicle, task.visits) for vehicle in vehicles):
        return None
    return UnassignedReason.WINDOW


def _has_space(vehicle: FleetVehicle, task: Task) -> bool:
    load = added(vehicle.held, task.loaded)
    if not fits(load, vehicle.capacity):
        return False
    for visit in task.visits:
        load = added(load, visit.change)
        if not fits(load, vehicle.capacity):
            return False
    return True


def _has_way(problem: PlanProblem, vehicle: FleetVehicle, task: Task) -> bool:
    places = [vehicle.start, *(visit.place for visit in task.visits)]
    if vehicle.end is not None:
        places.append(vehicle.end)
    return all(problem.leg_s(vehicle, a, b) is not None for a, b in pairwise(places))
