"""Makes a plan: times of travel, the search, the check without which nothing is sent. Shell."""

import time

import msgspec

from common.log import get
from common.plans.body import PlanBody, PlanPlace
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

    def __init__(self, travel: Travel, numbers: PlannerNumbers) -> None:
        self._travel = travel
        self._numbers = numbers

    async def make(self, draft: Draft, body: PlanBody, solver: Solver) -> bytes:
        """The answer's body. Raises `PlanUnmade`."""
        begun_s = time.monotonic()
        problem, method = await self._problem(draft, body)
        found = await search(problem, solver, body.limit_s)
        if broken := violations(found.problem, found.plan):
            self._numbers.violated()
            _log.error("planner.violation", count=len(broken), first=broken[:LOGGED_MAX])
            raise PlanUnmade("the plan that was found breaks a rule, and is not sent; try again")
        lines = await self._lines(draft, body, found.plan, method)
        answer = answer_of(
            draft,
            found.problem,
            found.plan,
            lines=lines,
            method=method,
            computed_in_ms=round((time.monotonic() - begun_s) * 1000),
        )
        return _encode(answer)

    async def _problem(self, draft: Draft, body: PlanBody) -> tuple[PlanProblem, str]:
        if body.matrix is not None:
            return draft.given(body), "matrix"
        points = [_point(place) for place in draft.places]
        matrix = await self._travel.matrix(points, points, body.vehicle)
        return draft.problem(matrix.durations_s, matrix.distances_m), matrix.method

    async def _lines(
        self, draft: Draft, body: PlanBody, plan: FleetPlan, method: str
    ) -> list[GeoLine | None]:
        if method != "roads":
            return [None] * len(plan.routes)
        routes = [
            [_point(draft.places[stop.place]) for stop in route.stops] for route in plan.routes
        ]
        return await lines_of(routes, self._travel, body.vehicle)


def _point(place: PlanPlace) -> Point:
    if place.latitude is None or place.longitude is None:
        raise ValueError("a place without coordinates")
    return place.latitude, place.longitude
