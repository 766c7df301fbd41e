"""A plan without a solver: for when the solver has found none in time. Pure, and quick.

The vehicle that is free first goes to what it can begin soonest, until nobody can do anything
more. Far from the best, and it breaks no rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from consumers.planner.planning.problem import FleetVehicle, Load, PlanProblem, Task, added, fits
from consumers.planner.planning.timetable import EPSILON_S, begins_at

# Tasks that a vehicle looks at before it gives up: those it is soonest at.
LOOKED_AT_MAX = 40


@dataclass(slots=True)
class _Growing:
    """A route so far, and what it leaves the vehicle with."""

    vehicle: FleetVehicle
    now_s: float
    place: int
    # Now, and the most at any time.
    load: Load
    peak: Load
    visits: list[int] = field(default_factory=list)


def nearest_first(problem: PlanProblem, tasks: Iterable[int]) -> list[tuple[int, list[int]]]:
    """Visits of each vehicle in their order, as the solver says them."""
    routes = [
        _Growing(vehicle, vehicle.begin_s, vehicle.start, vehicle.held, vehicle.held)
        for vehicle in problem.vehicles
    ]
    left = {index: problem.tasks[index] for index in tasks}
    for index, task in list(left.items()):
        # What is aboard has its vehicle, and goes first; what cannot be delivered stays aboard.
        if task.aboard and task.vehicle is not None:
            route = routes[task.vehicle]
            grown = _grown(problem, route, task)
            if grown is None:
                route.load, route.peak = (
                    added(route.load, task.loaded),
                    added(route.peak, task.loaded),
                )
            else:
                routes[task.vehicle] = grown
            del left[index]
    open_routes = set(range(len(routes)))
    while open_routes and left:
        number = min(open_routes, key=lambda n: (routes[n].now_s, n))
        chosen = _soonest(problem, number, routes[number], left)
        if chosen is None:
            open_routes.discard(number)
            continue
        index, routes[number] = chosen
        del left[index]
    return [(number, route.visits) for number, route in enumerate(routes) if route.visits]


def _soonest(
    problem: PlanProblem, number: int, route: _Growing, left: dict[int, Task]
) -> tuple[int, _Growing] | None:
    """The task that this vehicle begins soonest, the urgent first, and the route with it."""
    ranked: list[tuple[int, float, int]] = []
    for index, task in left.items():
        if task.vehicle not in (None, number) or not task.skills <= route.vehicle.skills:
            continue
        leg_s = problem.leg_s(route.vehicle, route.place, task.visits[0].place)
        at_s = None if leg_s is None else begins_at(task.visits[0], route.now_s + leg_s)
        if at_s is not None:
            ranked.append((-task.priority, at_s, index))
    for _, _, index in sorted(ranked)[:LOOKED_AT_MAX]:
        if (grown := _grown(problem, route, left[index])) is not None:
            return index, grown
    return None


def _grown(problem: PlanProblem, route: _Growing, task: Task) -> _Growing | None:
    """The route with this task at its end; None where that breaks a rule."""
    vehicle = route.vehicle
    count = len(route.visits) + len(task.visits)
    if vehicle.jobs_max is not None and count > vehicle.jobs_max:
        return None
    # What is loaded at the start is there all the way.
    load, peak = added(route.load, task.loaded), added(route.peak, task.loaded)
    now_s, place = route.now_s, route.place
    for visit in task.visits:
        leg_s = problem.leg_s(vehicle, place, visit.place)
        at_s = None if leg_s is None else begins_at(visit, now_s + leg_s)
        if at_s is None:
            return None
        now_s, place = at_s + visit.service_s, visit.place
        load = added(load, visit.change)
        peak = tuple(map(max, peak, load))
    back_s = 0.0 if vehicle.end is None else problem.leg_s(vehicle, place, vehicle.end)
    if back_s is None or now_s + back_s > vehicle.until_s + EPSILON_S:
        return None
    if not fits(peak, vehicle.capacity):
        return None
    visits = [*route.visits, *_numbers(task)]
    return _Growing(vehicle, now_s, place, load, peak, visits)


def _numbers(task: Task) -> Sequence[int]:
    return [visit.number for visit in task.visits]
