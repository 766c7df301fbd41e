"""The checker finds nothing in good plans, and every way in which one was broken on purpose."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from bench.plans.random_bodies import KINDS, random_body
from common.plans.answer import UnassignedReason
from consumers.planner.planning.checker import violations
from consumers.planner.planning.problem import FleetVehicle, PlanProblem
from consumers.planner.planning.route_plan import FleetPlan, RoutePlan, RouteStop
from tests.roles.plans import plan_of, problem_of

Made = tuple[PlanProblem, FleetPlan]
Mutation = Callable[[random.Random, PlanProblem, FleetPlan], FleetPlan | Made | None]


@cache
def plans(kind: str) -> list[Made]:
    """Problems with plans that were made without a solver."""
    dice = random.Random(kind)
    return [plan_of(problem_of(random_body(dice, kind))) for _ in range(25)]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_a_good_plan(kind: str) -> None:
    for problem, plan in plans(kind):
        assert violations(problem, plan) == []


def with_route(plan: FleetPlan, place: int, route: RoutePlan) -> FleetPlan:
    routes = list(plan.routes)
    routes[place] = route
    return replace(plan, routes=tuple(routes))


def with_stop(plan: FleetPlan, place: int, at: int, stop: RouteStop) -> FleetPlan:
    stops = list(plan.routes[place].stops)
    stops[at] = stop
    return with_route(plan, place, replace(plan.routes[place], stops=tuple(stops)))


def visited(dice: random.Random, plan: FleetPlan) -> tuple[int, int, RouteStop] | None:
    found = [
        (place, at, stop)
        for place, route in enumerate(plan.routes)
        for at, stop in enumerate(route.stops)
        if stop.task_id is not None
    ]
    return dice.choice(found) if found else None


def stop_earlier(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None:
        return None
    place, at, stop = found
    return with_stop(plan, place, at, replace(stop, arrival_s=stop.arrival_s - 1))


def stop_longer(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None:
        return None
    place, at, stop = found
    return with_stop(plan, place, at, replace(stop, service_s=stop.service_s + 1))


def wait_below_zero(dice: random.Random, _p: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None:
        return None
    place, at, stop = found
    return with_stop(plan, place, at, replace(stop, wait_s=stop.wait_s - 1000))


def wrong_load(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None or not found[2].load:
        return None
    place, at, stop = found
    return with_stop(plan, place, at, replace(stop, load=tuple(a + 1 for a in stop.load)))


def lose_a_stop(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None:
        return None
    place, at, _ = found
    route = plan.routes[place]
    stops = route.stops[:at] + route.stops[at + 1 :]
    return with_route(plan, place, replace(route, stops=stops))


def serve_twice(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None:
        return None
    place, at, stop = found
    route = plan.routes[place]
    stops = (*route.stops[: at + 1], stop, *route.stops[at + 1 :])
    return with_route(plan, place, replace(route, stops=stops))


def leave_over_too(dice: random.Random, _p: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    found = visited(dice, plan)
    if found is None or found[2].task_id is None:
        return None
    return replace(plan, left_over=(*plan.left_over, (found[2].task_id, UnassignedReason.NO_ROOM)))


def forget_one(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    if not plan.left_over:
        return None
    drop = dice.choice(plan.left_over)
    return replace(plan, left_over=tuple(one for one in plan.left_over if one != drop))


def two_routes(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    if not plan.routes:
        return None
    return replace(plan, routes=(*plan.routes, dice.choice(plan.routes)))


def wrong_sums(dice: random.Random, _problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    if not plan.routes:
        return None
    place = dice.randrange(len(plan.routes))
    route = plan.routes[place]
    wrong = (
        replace(route, travel_s=route.travel_s + 1),
        replace(route, duration_s=route.duration_s - 1),
        replace(route, distance_m=(route.distance_m or 0) + 1),
    )
    return with_route(plan, place, dice.choice(wrong))


def begin_elsewhere(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    places = len(problem.durations_s)
    if not plan.routes or places < 2:
        return None
    place = dice.randrange(len(plan.routes))
    first = plan.routes[place].stops[0]
    return with_stop(plan, place, 0, replace(first, place=(first.place + 1) % places))


def never_return(_dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    for place, route in enumerate(plan.routes):
        if problem.vehicles[route.vehicle].end is not None:
            return with_route(plan, place, replace(route, stops=route.stops[:-1]))
    return None


def delivery_first(_dice: random.Random, _p: PlanProblem, plan: FleetPlan) -> FleetPlan | None:
    for place, route in enumerate(plan.routes):
        for at, stop in enumerate(route.stops):
            for later in range(at + 1, len(route.stops)):
                other = route.stops[later]
                if stop.kind == "pickup" and other.task_id == stop.task_id:
                    stops = list(route.stops)
                    stops[at], stops[later] = other, stop
                    return with_route(plan, place, replace(route, stops=tuple(stops)))
    return None


# The plan stays, and the problem becomes one that it does not solve.


def shrink_shift(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    if not plan.routes:
        return None
    route = dice.choice(plan.routes)
    last = route.stops[-1]
    vehicle = problem.vehicles[route.vehicle]
    narrow = dice.choice((
        replace(vehicle, until_s=last.arrival_s + last.wait_s + last.service_s - 1),
        replace(vehicle, begin_s=route.stops[0].arrival_s + 1),
        replace(vehicle, jobs_max=sum(s.task_id is not None for s in route.stops) - 1),
    ))  # fmt: skip
    return with_vehicle(problem, route.vehicle, narrow), plan


def shrink_capacity(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    loaded = [r for r in plan.routes if any(sum(stop.load) for stop in r.stops)]
    if not loaded:
        return None
    route = dice.choice(loaded)
    most = [max(column) for column in zip(*(stop.load for stop in route.stops), strict=True)]
    most[most.index(max(most))] -= 1
    vehicle = replace(problem.vehicles[route.vehicle], capacity=tuple(most))
    return with_vehicle(problem, route.vehicle, vehicle), plan


def close_window(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    found = visited(dice, plan)
    if found is None:
        return None
    _, _, stop = found
    at_s = stop.arrival_s + stop.wait_s
    windows = dice.choice(
        (((0.0, at_s - 1),), ((at_s + 1, at_s + 9),), ((-9.0, -1.0), (at_s + 1, 1e9)))
    )
    return with_task(problem, stop, windows=windows), plan


def want_skill(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    found = visited(dice, plan)
    if found is None:
        return None
    return with_task(problem, found[2], skills=frozenset({"a skill that nobody has"})), plan


def belong_elsewhere(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    found = visited(dice, plan)
    if found is None or len(problem.vehicles) < 2:
        return None
    other = (plan.routes[found[0]].vehicle + 1) % len(problem.vehicles)
    return with_task(problem, found[2], vehicle=other), plan


def no_way_any_more(dice: random.Random, problem: PlanProblem, plan: FleetPlan) -> Made | None:
    legs = [
        (a.place, b.place)
        for route in plan.routes
        for a, b in zip(route.stops, route.stops[1:], strict=False)
        if a.place != b.place
    ]
    if not legs:
        return None
    here, there = dice.choice(legs)
    rows = [list(row) for row in problem.durations_s]
    rows[here][there] = dice.choice((None, (rows[here][there] or 0) + 5))
    return replace(problem, durations_s=rows), plan


def with_vehicle(problem: PlanProblem, index: int, vehicle: FleetVehicle) -> PlanProblem:
    vehicles = list(problem.vehicles)
    vehicles[index] = vehicle
    return replace(problem, vehicles=tuple(vehicles))


def with_task(problem: PlanProblem, stop: RouteStop, **changes: Any) -> PlanProblem:
    tasks = list(problem.tasks)
    index = next(n for n, task in enumerate(tasks) if task.task_id == stop.task_id)
    task = tasks[index]
    if "windows" in changes:
        windows = changes.pop("windows")
        visits = [replace(v, windows=windows) if v.kind == stop.kind else v for v in task.visits]
        changes["visits"] = tuple(visits)
    tasks[index] = replace(task, **changes)
    return replace(problem, tasks=tuple(tasks))


MUTATIONS: tuple[Mutation, ...] = (
    stop_earlier, stop_longer, wait_below_zero, wrong_load, lose_a_stop, serve_twice,
    leave_over_too, forget_one, two_routes, wrong_sums, begin_elsewhere, never_return,
    delivery_first, shrink_shift, shrink_capacity, close_window, want_skill, belong_elsewhere,
    no_way_any_more,
)  # fmt: skip


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_every_way_to_break_a_plan_is_found(mutate: Mutation) -> None:
    dice, tried = random.Random(7), 0
    for kind in KINDS:
        for problem, plan in plans(kind):
            broken = mutate(dice, problem, plan)
            if broken is None:
                continue
            made = (problem, broken) if isinstance(broken, FleetPlan) else broken
            tried += 1
            assert violations(*made), (problem, plan, made)
    assert tried > 5
