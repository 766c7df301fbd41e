"""Whether a plan may be sent: everything that it promises, worked out again from the problem.

Pure, and on purpose without the code that made the plan: what both got wrong would not be found.
Times are compared to a millisecond, in which 500 sums of floating numbers do not differ.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from consumers.planner.planning.problem import FleetVehicle, PlanProblem, Task
from consumers.planner.planning.route_plan import FleetPlan, RoutePlan, RouteStop

TOLERANCE_S = 1e-3
TOLERANCE_M = 1e-3


def violations(problem: PlanProblem, plan: FleetPlan) -> list[str]:
    """What the plan breaks, in words for a log; empty if it may be sent."""
    found = list(_served_once(problem, plan))
    vehicles = Counter(route.vehicle for route in plan.routes)
    found += [f"vehicle {n} has {count} routes" for n, count in vehicles.items() if count > 1]
    tasks = {task.task_id: task for task in problem.tasks}
    for route in plan.routes:
        if not 0 <= route.vehicle < len(problem.vehicles):
            found.append(f"there is no vehicle {route.vehicle}")
            continue
        vehicle = problem.vehicles[route.vehicle]
        rules = (_ends, _times, _loads, _tasks, _sums)
        for rule in rules:
            told = rule(problem, vehicle, route, tasks)
            found += [f"{vehicle.vehicle_id}: {text}" for text in told]
    return found


Tasks = dict[str, Task]


def _served_once(problem: PlanProblem, plan: FleetPlan) -> Iterator[str]:
    """Each task is in one route, with all of its visits in their order, or is left over."""
    left = Counter(task_id for task_id, _ in plan.left_over)
    kinds: dict[str, list[tuple[int, str]]] = {}
    for route in plan.routes:
        for stop in route.stops:
            if stop.task_id is not None:
                kinds.setdefault(stop.task_id, []).append((route.vehicle, stop.kind))
    for task in problem.tasks:
        made = kinds.pop(task.task_id, [])
        wanted = [visit.kind for visit in task.visits]
        if left[task.task_id] + bool(made) != 1:
            yield f"{task.task_id} is left over {left[task.task_id]} times and served: {made}"
        elif made and [kind for _, kind in made] != wanted:
            yield f"{task.task_id} is to be visited as {wanted}, not as {made}"
        elif len({vehicle for vehicle, _ in made}) > 1:
            yield f"{task.task_id} is served by several vehicles: {made}"
    yield from (f"{name} is no task" for name in kinds)
    known = {task.task_id for task in problem.tasks}
    yield from (f"{name} is left over and no task" for name in left if name not in known)


def _ends(
    _problem: PlanProblem, vehicle: FleetVehicle, route: RoutePlan, _tasks: Tasks
) -> Iterator[str]:
    """It begins and ends where it should, in its shift, and has stops in between."""
    inner = route.stops[1:] if vehicle.end is None else route.stops[1:-1]
    if not inner or any(stop.task_id is None for stop in inner):
        yield "its stops are not a start, visits, and an end"
        return
    first, last = route.stops[0], route.stops[-1]
    if first.kind != "start" or first.place != vehicle.start:
        yield "it does not begin at its start"
    if first.arrival_s < vehicle.begin_s - TOLERANCE_S:
        yield "it begins before its shift"
    if vehicle.end is not None and (last.kind != "end" or last.place != vehicle.end):
        yield "it does not end at its end"
    if last.arrival_s + last.wait_s + last.service_s > vehicle.until_s + TOLERANCE_S:
        yield "it ends after its shift"
    if vehicle.jobs_max is not None and len(inner) > vehicle.jobs_max:
        yield f"it makes {len(inner)} stops, more than {vehicle.jobs_max}"


def _times(
    problem: PlanProblem, vehicle: FleetVehicle, route: RoutePlan, tasks: Tasks
) -> Iterator[str]:
    """Every leg takes what the matrix says, and service begins inside a window."""
    for here, there in pairwise(route.stops):
        seconds = problem.durations_s[here.place][there.place]
        if here.place == there.place:
            seconds = 0.0
        if seconds is None:
            yield f"there is no way from {here.place} to {there.place}"
            continue
        left_s = here.arrival_s + here.wait_s + here.service_s
        due_s = left_s + seconds / vehicle.speed_factor
        if abs(there.arrival_s - due_s) > TOLERANCE_S:
            yield f"it arrives at {there.task_id or there.kind} at {there.arrival_s}, not {due_s}"
    for stop in route.stops:
        yield from _window(stop, tasks)


def _window(stop: RouteStop, tasks: Tasks) -> Iterator[str]:
    if min(stop.wait_s, stop.service_s) < 0:
        yield f"{stop.task_id} has a time below 0"
    task = tasks.get(stop.task_id or "")
    visit = next((v for v in task.visits if v.kind == stop.kind), None) if task else None
    if visit is None:
        return
    if visit.place != stop.place or abs(visit.service_s - stop.service_s) > TOLERANCE_S:
        yield f"{stop.task_id} is served elsewhere, or not as long as it takes"
    at_s = stop.arrival_s + stop.wait_s
    windows = visit.windows
    if windows and not any(a - TOLERANCE_S <= at_s <= b + TOLERANCE_S for a, b in windows):
        yield f"{stop.task_id} is served at {at_s}, outside its windows {windows}"


def _loads(
    _problem: PlanProblem, vehicle: FleetVehicle, route: RoutePlan, tasks: Tasks
) -> Iterator[str]:
    """What is aboard is what was loaded, and never more than there is room for."""
    served = {stop.task_id for stop in route.stops} & tasks.keys()
    load = list(vehicle.held)
    for name in served:
        load = [a + b for a, b in zip(load, tasks[name or ""].loaded, strict=True)]
    for stop in route.stops:
        task = tasks.get(stop.task_id or "")
        for visit in task.visits if task else ():
            if visit.kind == stop.kind:
                load = [a + b for a, b in zip(load, visit.change, strict=True)]
        if tuple(load) != stop.load:
            yield f"after {stop.task_id or stop.kind} it has {load}, not {list(stop.load)}"
        if min(load, default=0) < 0:
            yield f"after {stop.task_id or stop.kind} it has less than nothing: {load}"
        capacity = load if vehicle.capacity is None else vehicle.capacity
        if any(a > most for a, most in zip(load, capacity, strict=True)):
            yield f"after {stop.task_id or stop.kind} it has {load}, more than {list(capacity)}"


def _tasks(
    problem: PlanProblem, vehicle: FleetVehicle, route: RoutePlan, tasks: Tasks
) -> Iterator[str]:
    """It has the skills for all, and nothing that is another vehicle's."""
    for stop in route.stops:
        task = tasks.get(stop.task_id or "")
        if task is None:
            continue
        if not task.skills <= vehicle.skills:
            yield f"{task.task_id} wants the skills {sorted(map(str, task.skills))}"
        if task.vehicle is not None and problem.vehicles[task.vehicle] is not vehicle:
            yield f"{task.task_id} belongs to another vehicle"


def _sums(
    problem: PlanProblem, vehicle: FleetVehicle, route: RoutePlan, _tasks: Tasks
) -> Iterator[str]:
    """Its times and its distance are those of its stops."""
    last = route.stops[-1]
    duration_s = last.arrival_s + last.wait_s + last.service_s - route.stops[0].arrival_s
    if abs(duration_s - route.duration_s) > TOLERANCE_S:
        yield f"it takes {duration_s} s, not {route.duration_s}"
    stood_s = sum(stop.wait_s + stop.service_s for stop in route.stops)
    if abs(duration_s - stood_s - route.travel_s) > TOLERANCE_S:
        yield f"it travels {duration_s - stood_s} s, not {route.travel_s}"
    legs = _legs_m(problem, route.stops)
    if legs is None or route.distance_m is None:
        if legs is not None or route.distance_m is not None:
            yield f"its distance is {route.distance_m}, of legs {legs}"
    elif abs(sum(legs) - route.distance_m) > TOLERANCE_M:
        yield f"it drives {sum(legs)} m, not {route.distance_m}"


def _legs_m(problem: PlanProblem, stops: Sequence[RouteStop]) -> list[float] | None:
    """Metres of each leg; None where some are not known."""
    if problem.distances_m is None:
        return None
    legs = []
    for here, there in pairwise(stops):
        metres = problem.distances_m[here.place][there.place] if here.place != there.place else 0.0
        if metres is None:
            return None
        legs.append(metres)
    return legs
