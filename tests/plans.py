"""Plans for tests: bodies as clients send them, and their problems."""

from datetime import UTC, datetime
from typing import Any

import orjson

from common.plans.messages import LookedUp
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.route_plan import FleetPlan, plan_route
from consumers.planner.planning.timetable import timetable
from consumers.planner.reading.plan import draft_of, read_plan

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTHING = LookedUp({}, {})


def problem_of(body: dict[str, Any], looked_up: LookedUp = NOTHING) -> PlanProblem:
    """The problem of a body with a matrix. Raises `InvalidUpdate`."""
    read = read_plan(orjson.dumps(body))
    return draft_of(read, looked_up, NOW).given(read)


def greedy_plan(problem: PlanProblem) -> FleetPlan:
    """A plan without a solver: each task goes to the end of the first route that takes it."""
    from consumers.planner.planning.reasons import reason_of

    orders: list[list[int]] = [[] for _ in problem.vehicles]
    left = []
    for task in sorted(problem.tasks, key=lambda task: not task.aboard):
        visits = [visit.number for visit in task.visits]
        for index in range(len(problem.vehicles)):
            if task.vehicle not in (None, index) or not _takes(
                problem, index, [*orders[index], *visits]
            ):
                continue
            orders[index] += visits
            break
        else:
            left.append(task)
            problem = problem.holding([problem.tasks.index(task)])
    routes = [plan_route(problem, n, visits) for n, visits in enumerate(orders) if visits]
    return FleetPlan(tuple(routes), tuple((t.task_id, reason_of(problem, t)) for t in left))


def _takes(problem: PlanProblem, index: int, order: list[int]) -> bool:
    vehicle = problem.vehicles[index]
    visits = [problem.visits[number] for number in order]
    tasks = [problem.tasks[task] for task in dict.fromkeys(visit.task for visit in visits)]
    if vehicle.jobs_max is not None and len(visits) > vehicle.jobs_max:
        return False
    if not all(task.skills <= vehicle.skills for task in tasks):
        return False
    load = list(vehicle.held)
    for task in tasks:
        load = [a + b for a, b in zip(load, task.loaded, strict=True)]
    changes = [(0,) * len(load), *(visit.change for visit in visits)]
    for change in changes:
        load = [a + b for a, b in zip(load, change, strict=True)]
        if vehicle.capacity and any(a > b for a, b in zip(load, vehicle.capacity, strict=True)):
            return False
    return timetable(problem, vehicle, visits) is not None
