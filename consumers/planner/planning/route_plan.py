"""A plan as the rules see it, and how it is made of the order in which visits are to be made. Pure.

Whatever a solver says is only taken for an order of visits: all times and loads are our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from common.plans.answer import UnassignedReason
from consumers.planner.planning.problem import FleetVehicle, Load, PlanProblem, added
from consumers.planner.planning.timetable import Timetable, timetable


@dataclass(frozen=True, slots=True)
class RouteStop:
    """A stop. `load` is what the vehicle has after it."""

    kind: Literal["start", "job", "pickup", "delivery", "end"]
    task_id: str | None
    place: int
    arrival_s: float
    wait_s: float
    service_s: float
    load: Load


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What a vehicle (its place in the problem) does. `distance_m`: None where none are known."""

    vehicle: int
    stops: tuple[RouteStop, ...]
    travel_s: float
    duration_s: float
    distance_m: float | None


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """All of it. `left_over`: ids of tasks with the reason."""

    routes: tuple[RoutePlan, ...]
    left_over: tuple[tuple[str, UnassignedReason], ...]


class Unkept(Exception):
    """An order of visits that cannot be driven in time."""


def plan_route(problem: PlanProblem, index: int, visits: Sequence[int]) -> RoutePlan:
    """The route of a vehicle that makes these visits (their numbers). Raises `Unkept`."""
    vehicle = problem.vehicles[index]
    by_number = problem.visits
    table = timetable(problem, vehicle, [by_number[number] for number in visits])
    if table is None:
        raise Unkept(f"vehicle {index} cannot make {len(visits)} visits in this order in time")
    stops = _stops(problem, vehicle, table)
    places = [stop.place for stop in stops]
    return RoutePlan(
        vehicle=index,
        stops=tuple(stops),
        travel_s=table.travel_s,
        duration_s=table.end_s - table.begin_s,
        distance_m=_metres(problem, places),
    )


def _stops(problem: PlanProblem, vehicle: FleetVehicle, table: Timetable) -> list[RouteStop]:
    load = vehicle.held
    for task in {call.visit.task for call in table.calls}:
        load = added(load, problem.tasks[task].loaded)
    stops = [RouteStop("start", None, vehicle.start, table.begin_s, 0.0, 0.0, load)]
    for call in table.calls:
        visit = call.visit
        load = added(load, visit.change)
        stops.append(
            RouteStop(
                visit.kind,
                problem.tasks[visit.task].task_id,
                visit.place,
                call.arrival_s,
                call.wait_s,
                visit.service_s,
                load,
            )
        )
    if vehicle.end is not None:
        stops.append(RouteStop("end", None, vehicle.end, table.end_s, 0.0, 0.0, load))
    return stops


def _metres(problem: PlanProblem, places: Sequence[int]) -> float | None:
    rows = problem.distances_m
    if rows is None:
        return None
    legs = [rows[a][b] for a, b in pairwise(places) if a != b]
    return None if None in legs else sum(leg or 0.0 for leg in legs)
