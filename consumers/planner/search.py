"""Looks for a plan: what is hopeless is put aside, the solver orders the rest, and all times and
loads are worked out by our own rules. Shell.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from common.log import get
from common.plans.answer import UnassignedReason
from consumers.planner.planning.nearest import nearest_first
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.reasons import impossible, reason_of
from consumers.planner.planning.route_plan import FleetPlan, Unkept, plan_route
from consumers.planner.solving.question import question_of
from consumers.planner.solving.solver import Solver, SolverGone

# How late the solver may be: it looks at the clock between its steps, and reads the matrix first.
GRACE_S = 2.0
# The least it is given, where what came before took long.
SEARCH_S_MIN = 0.1
# How often it may turn out that something aboard cannot be delivered beside the rest.
ROUNDS_MAX = 3
# A child may be killed by anybody; a problem that kills two of them is the reason itself.
TRIES = 2

_log = get("planner")

# Visits of each vehicle: its place in the problem, and their numbers.
Orders = list[tuple[int, list[int]]]


class PlanUnmade(Exception):
    """No plan can be sent; its text is for the client."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plan, and the problem that it solves: what cannot be delivered stays aboard there."""

    problem: PlanProblem
    plan: FleetPlan


async def search(problem: PlanProblem, solver: Solver, limit_s: float) -> Found:
    """A plan of the whole problem. Raises `PlanUnmade`."""
    deadline_s = time.monotonic() + limit_s
    hopeless: dict[int, UnassignedReason] = {}
    for index, task in enumerate(problem.tasks):
        if (reason := impossible(problem, task)) is not None:
            hopeless[index] = reason
    for _ in range(ROUNDS_MAX):
        held = problem.holding(list(hopeless))
        search_s = max(SEARCH_S_MIN, deadline_s - time.monotonic())
        orders = await _ask(held, hopeless, solver, search_s)
        by_number = held.visits
        served = {by_number[number].task for _, visits in orders for number in visits}
        stuck = [
            index
            for index, task in enumerate(held.tasks)
            if task.aboard and index not in served and index not in hopeless
        ]
        if not stuck:
            return Found(held, _planned(held, orders, served, hopeless))
        hopeless |= {index: reason_of(held, held.tasks[index]) for index in stuck}
    raise PlanUnmade("no plan was found that delivers what is aboard; a longer limit_s may")


def _planned(
    problem: PlanProblem, orders: Orders, served: set[int], hopeless: Mapping[int, UnassignedReason]
) -> FleetPlan:
    try:
        routes = tuple(plan_route(problem, vehicle, visits) for vehicle, visits in orders)
    except Unkept as e:
        _log.error("planner.order_unkept", detail=str(e))
        raise PlanUnmade("the order that was found cannot be kept in time; try again") from e
    left_over = tuple(
        (task.task_id, hopeless.get(index) or reason_of(problem, task))
        for index, task in enumerate(problem.tasks)
        if index not in served
    )
    return FleetPlan(routes, left_over)


async def _ask(
    problem: PlanProblem, hopeless: Mapping[int, UnassignedReason], solver: Solver, search_s: float
) -> Orders:
    asked = [index for index in range(len(problem.tasks)) if index not in hopeless]
    question = question_of(problem, asked, search_s)
    if not question.tasks or not question.vehicles:
        return []
    for tries_left in reversed(range(TRIES)):
        try:
            answer = await solver.ask(question, search_s + GRACE_S)
        except TimeoutError:
            _log.warning("planner.solver_late", visits=sum(len(t.visits) for t in question.tasks))
            return nearest_first(problem, asked)
        except SolverGone as e:
            if not tries_left:
                raise PlanUnmade(str(e)) from e
            continue
        if answer.error:
            _log.error("planner.refused", error=answer.error)
            raise PlanUnmade("the solver refuses this problem")
        return [(vehicle, visits) for vehicle, visits in answer.routes if visits]
    raise AssertionError("the loop returns or raises")
