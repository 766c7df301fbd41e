"""Makes a plan: times of travel, the search, the check without which nothing is sent. Shell."""

import time

import msgspec

from common.contract import Vehicle
from common.log import get
from common.plans.body import PlanBody, PlanPlace
from common.roads.engine import RoadEngine
from common.roads.pace import Pace, PaceFit
from common.roads.travel import Travel
from common.roads.way import Point
from consumers.planner.lines import GeoLine, lines_of
from consumers.planner.numbers import PlannerNumbers
from consumers.planner.planning.answering import answer_of
from consumers.planner.planning.checker import violations
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.route_plan import FleetPlan
from consumers.planner.reading.forming import Draft
from consumers.planner.search import PlanUnmade, search
from consumers.planner.solving.solver import Solver

# Of what a plan breaks, so much is logged.
LOGGED_MAX = 5

_log = get("planner")
_encode = msgspec.json.Encoder().encode


class PlanMaker:
    """Makes plans of drafts."""

    def __init__(self, engine: RoadEngine, numbers: PlannerNumbers) -> None:
        self._engine = engine
        self._numbers = numbers

    async def make(
        self, draft: Draft, body: PlanBody, fit: PaceFit | None, solver: Solver
    ) -> bytes:
        """The answer's body. `fit`: what the fleet's trips say of its pace. Raises `PlanUnmade`."""
        begun_s = time.monotonic()
        travel = Travel(self._engine, KnownPace(fit))
        problem, method = await _problem(draft, body, travel)
        found = await search(problem, solver, body.limit_s)
        if broken := violations(found.problem, found.plan):
            self._numbers.violated()
            _log.error("planner.violation", count=len(broken), first=broken[:LOGGED_MAX])
            raise PlanUnmade("the plan that was found breaks a rule, and is not sent; try again")
        lines = await _lines(draft, body, found.plan, method, travel)
        answer = answer_of(
            draft,
            found.problem,
            found.plan,
            lines=lines,
            method=method,
            computed_in_ms=round((time.monotonic() - begun_s) * 1000),
        )
        return _encode(answer)


class KnownPace:
    """A source that was told what to say."""

    def __init__(self, fit: PaceFit | None) -> None:
        self._fit = fit

    async def pace(self, vehicle: Vehicle) -> Pace:
        """What was told."""
        return Pace(self._fit, vehicle)


async def _problem(draft: Draft, body: PlanBody, travel: Travel) -> tuple[PlanProblem, str]:
    if body.matrix is not None:
        return draft.given(body), "matrix"
    points = [_point(place) for place in draft.places]
    matrix = await travel.matrix(points, points, body.vehicle)
    return draft.problem(matrix.durations_s, matrix.distances_m), matrix.method


async def _lines(
    draft: Draft, body: PlanBody, plan: FleetPlan, method: str, travel: Travel
) -> list[GeoLine | None]:
    if method != "roads":
        return [None] * len(plan.routes)
    routes = [[_point(draft.places[stop.place]) for stop in route.stops] for route in plan.routes]
    return await lines_of(routes, travel, body.vehicle)


def _point(place: PlanPlace) -> Point:
    if place.latitude is None or place.longitude is None:
        raise ValueError("a place without coordinates")
    return place.latitude, place.longitude
