"""Plans for tests: bodies as clients send them, and their problems."""

from datetime import UTC, datetime
from typing import Any

import orjson

from common.plans.messages import LookedUp
from consumers.planner.planning.nearest import nearest_first
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.reasons import reason_of
from consumers.planner.planning.route_plan import FleetPlan, plan_route
from consumers.planner.reading.plan import draft_of, read_plan

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTHING = LookedUp({}, {})


def problem_of(body: dict[str, Any], looked_up: LookedUp = NOTHING) -> PlanProblem:
    """The problem of a body with a matrix. Raises `InvalidUpdate`."""
    read = read_plan(orjson.dumps(body))
    return draft_of(read, looked_up, NOW).given(read)


def plan_of(problem: PlanProblem) -> tuple[PlanProblem, FleetPlan]:
    """A plan without a solver, and the problem that it solves."""
    orders = nearest_first(problem, range(len(problem.tasks)))
    served = {problem.visits[number].task for _, visits in orders for number in visits}
    left = [n for n in range(len(problem.tasks)) if n not in served]
    held = problem.holding(left)
    routes = tuple(plan_route(held, vehicle, visits) for vehicle, visits in orders)
    return held, FleetPlan(
        routes, tuple((held.tasks[n].task_id, reason_of(held, held.tasks[n])) for n in left)
    )
