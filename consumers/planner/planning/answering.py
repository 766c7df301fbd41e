"""A plan in the words of the API. Pure."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from common.plans.answer import PlanAnswer, PlanRoute, PlanStop, Unassigned
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.route_plan import FleetPlan, RoutePlan
from consumers.planner.reading.clock import DIGITS
from consumers.planner.reading.forming import Draft

# Metres are shown to a decimetre.
_METRES_DIGITS = 1


def answer_of(
    draft: Draft,
    problem: PlanProblem,
    plan: FleetPlan,
    *,
    lines: Sequence[dict[str, Any] | None],
    method: str,
    computed_in_ms: int,
) -> PlanAnswer:
    """The answer; `lines`: the geometry of each route where it is known."""
    return PlanAnswer(
        routes=[
            _route(draft, problem, route, line)
            for route, line in zip(plan.routes, lines, strict=True)
        ],
        unassigned=[Unassigned(task_id, reason) for task_id, reason in plan.left_over],
        cost=round(sum(route.travel_s for route in plan.routes), DIGITS),
        method=method,  # type: ignore[arg-type]
        computed_in_ms=computed_in_ms,
    )


def _route(
    draft: Draft, problem: PlanProblem, route: RoutePlan, line: dict[str, Any] | None
) -> PlanRoute:
    vehicle = problem.vehicles[route.vehicle]
    metres = route.distance_m
    return PlanRoute(
        vehicle=vehicle.vehicle_id,
        driver_id=vehicle.driver_id,
        stops=[
            PlanStop(
                type=stop.kind,
                id=stop.task_id,
                at=draft.places[stop.place],
                arrival_at=draft.clock.shown(draft.origin_s + stop.arrival_s),
                wait_s=round(stop.wait_s, DIGITS),
                service_s=stop.service_s,
                load=list(stop.load),
            )
            for stop in route.stops
        ],
        duration_s=round(route.duration_s, DIGITS),
        distance_m=None if metres is None else round(metres, _METRES_DIGITS),
        geometry=UNSET if line is None else line,
    )
