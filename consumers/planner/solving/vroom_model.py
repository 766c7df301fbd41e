"""A question put to VROOM. Needs the packages of the extra `dispatch`; runs in a child alone."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import vroom
from vroom.solution.solution import Solution

from consumers.planner.solving.question import (
    FAR_TICKS,
    SolverAnswer,
    SolverQuestion,
    SolverTask,
    SolverVehicle,
    SolverVisit,
)

# What a sum of costs may reach: VROOM refuses more than 32 bits.
COSTS_MAX = 4_000_000_000
COSTS_PER_S_MAX = 1000.0
# As the rounding of windows: of floating numbers, none of the times'. In seconds.
GRAIN_S = 1e-9
VISITED = {"job", "pickup", "delivery"}


class Level(NamedTuple):
    """How hard VROOM looks: searches from different beginnings, and how deep each goes."""

    searches: int
    depth: int


# One after the other; the best of all is taken. VROOM shares its time evenly among the searches, so
# a level that has too little finds less than a lower one that has enough. And a search's beginning
# takes what it takes: seconds, for 250 shipments without windows. Searches cost in proportion, and
# the greatest depth a third more (VROOM's own levels: 8 of depth 1, 16 of depth 3, 28 of depth 5).
LEVELS = (Level(1, 1), Level(8, 1), Level(16, 5), Level(28, 5))
# A level takes about twice as long as the one before, on Solomon's and on Li and Lim's instances.
# With less time than half of that it rarely finds more.
GROWTH = 1.0


def solve(question: SolverQuestion, levels: Sequence[Level] = LEVELS) -> SolverAnswer:
    """The visits of each vehicle. Raises what VROOM raises."""
    if not question.tasks or not question.vehicles:
        return SolverAnswer([])
    best, took_s = None, 0.0
    end_s = time.monotonic() + question.search_ms / 1000
    for level in levels:
        begin_s = time.monotonic()
        if best is not None and end_s - begin_s < GROWTH * took_s:
            break
        found = _search(question, level, max(0.0, end_s - begin_s))
        took_s = time.monotonic() - begin_s
        if best is None or _rank(found) < _rank(best):
            best = found
    return SolverAnswer(_routes(best))


def _search(question: SolverQuestion, level: Level, timeout_s: float) -> Any:
    model = vroom.Input()
    _add_matrices(model, question)
    model.add_vehicle([_vehicle(vehicle) for vehicle in question.vehicles])
    for task in question.tasks:
        _add_task(model, task)
    # Its public `solve` knows levels alone, the lowest of which is eight searches.
    solution = model._solve(
        nb_searches=level.searches,
        depth=level.depth,
        nb_threads=1,
        timeout=timedelta(seconds=timeout_s),
    )
    return Solution(solution)


def _rank(solution: Any) -> tuple[int, int, int]:
    """The lower, the better, as VROOM itself compares: what is served goes before what it costs."""
    summary = solution.summary
    return -summary.priority, summary.unassigned, summary.cost


def _add_matrices(model: Any, question: SolverQuestion) -> None:
    """One of ticks and one of costs for each factor of speed."""
    side = question.side
    seconds = np.frombuffer(question.durations, dtype="f8").reshape(side, side).copy()
    np.fill_diagonal(seconds, 0.0)
    is_far = ~np.isfinite(seconds)
    seconds[is_far] = 0.0
    longest_s = float(seconds.max()) / question.factors[0]
    # What has no way costs twice the longest leg: it is never driven, and keeps sums small.
    far_s = 2.0 * max(longest_s, 1.0)
    costs_per_s = min(COSTS_PER_S_MAX, COSTS_MAX / (question.legs_max * far_s))
    for profile, factor in enumerate(question.factors):
        driven_s = seconds / factor
        ticks = np.maximum(np.ceil((driven_s - GRAIN_S) * question.ticks_per_s), 0.0)
        ticks[is_far] = FAR_TICKS
        costs = np.rint(driven_s * costs_per_s)
        costs[is_far] = np.floor(far_s * costs_per_s)
        model.set_durations_matrix(str(profile), ticks.astype("u4"))
        model.set_costs_matrix(str(profile), costs.astype("u4"))


def _vehicle(vehicle: SolverVehicle) -> Any:
    more = {} if vehicle.jobs_max is None else {"max_tasks": vehicle.jobs_max}
    return vroom.Vehicle(
        vehicle.number,
        start=vehicle.start,
        end=vehicle.end,
        profile=str(vehicle.profile),
        capacity=vehicle.capacity,
        skills=set(vehicle.skills),
        time_window=vehicle.window,
        **more,
    )


def _add_task(model: Any, task: SolverTask) -> None:
    if len(task.visits) == 1:
        [visit] = task.visits
        model.add_job(
            vroom.Job(
                **_stop(visit),
                delivery=vroom.Amount(task.brought),
                pickup=vroom.Amount(task.taken),
                skills=set(task.skills),
                priority=task.priority,
            )
        )
        return
    pickup, delivery = (vroom.ShipmentStep(**_stop(visit)) for visit in task.visits)
    model.add_shipment(
        pickup,
        delivery,
        # An `Amount`: its own conversion of a list fails here.
        amount=vroom.Amount(task.brought),
        skills=set(task.skills),
        priority=task.priority,
    )


def _stop(visit: SolverVisit) -> dict[str, Any]:
    return {
        "id": visit.number,
        "location": visit.place,
        "default_service": visit.service,
        "time_windows": visit.windows,
    }


def _routes(solution: Any) -> list[tuple[int, list[int]]]:
    routes: dict[int, list[int]] = {}
    frame = solution.routes
    if not len(frame):
        return []
    steps = zip(frame["vehicle_id"], frame["type"], frame["id"], strict=True)
    for vehicle, kind, number in steps:
        if kind in VISITED:
            routes.setdefault(int(vehicle), []).append(int(number))
    return list(routes.items())
