"""How long it takes to get somewhere: asked of the road engine, else of the fallback.

Whoever asks gets an answer that names its method. An engine that is not there, does not answer in
time or has no roads near the places costs one refused connection now and then, never an error: the
pace of the fleet's own trips, or of the straight line, answers in its place.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from common.contract import Vehicle
from common.geo.sphere import distance_m
from common.roads.engine import RoadEngine
from common.roads.osrm import NoRoads
from common.roads.pace import Pace
from common.roads.thin import TraceFix
from common.roads.trace_match import match_trace
from common.roads.way import Leg, MatchedPiece, Matrix, Point, Way


class PaceSource(Protocol):
    """Where the fallback of a vehicle kind comes from."""

    async def pace(self, vehicle: Vehicle) -> Pace:
        """What is known now; never waits long, never fails."""


class StraightPaces:
    """A source that has learned nothing."""

    async def pace(self, vehicle: Vehicle) -> Pace:
        """The straight line of `vehicle`."""
        return Pace(vehicle=vehicle)


class Travel:
    """Matrices and ways. One for a process: it holds the engine's connections."""

    def __init__(self, engine: RoadEngine, paces: PaceSource) -> None:
        self._engine = engine
        self._paces = paces

    def has_roads(self, vehicle: Vehicle) -> bool:
        """Whether there is, or should be, an engine for it: without one nobody need ask."""
        return self._engine.serves(vehicle)

    async def matrix(
        self, sources: Sequence[Point], targets: Sequence[Point], vehicle: Vehicle = "car"
    ) -> Matrix:
        """Seconds and metres from each source to each target."""
        try:
            if not (sources and targets):
                raise NoRoads("nothing is asked")
            return await self._engine.matrix(sources, targets, vehicle)
        except NoRoads:
            return straight_matrix(sources, targets, await self._paces.pace(vehicle))

    async def route(self, points: Sequence[Point], vehicle: Vehicle = "car") -> Way | None:
        """The quickest way through two or more points; None: the roads have no way there."""
        try:
            return await self._engine.route(points, vehicle)
        except NoRoads:
            return straight_way(points, await self._paces.pace(vehicle))

    async def match(
        self, pieces: Sequence[Sequence[TraceFix]], vehicle: Vehicle = "car"
    ) -> list[MatchedPiece] | None:
        """What of a thinned trace follows roads, in order; None where there is no engine."""
        try:
            return await match_trace(self._engine, pieces, vehicle)
        except NoRoads:
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.close()


def straight_matrix(sources: Sequence[Point], targets: Sequence[Point], pace: Pace) -> Matrix:
    """The matrix as the fallback has it."""
    lines = [[distance_m(*source, *target) for target in targets] for source in sources]
    return Matrix(
        [[pace.estimate(line).seconds if line else 0.0 for line in row] for row in lines],
        [[pace.way_m(line) for line in row] for row in lines],
        pace.method,
    )


def straight_way(points: Sequence[Point], pace: Pace) -> Way:
    """The way as the fallback has it: straight from point to point."""
    lines = [distance_m(*a, *b) for a, b in pairwise(points)]
    seconds = tuple(pace.estimate(line).seconds if line else 0.0 for line in lines)
    metres = tuple(pace.way_m(line) for line in lines)
    legs = tuple(Leg(s, m) for s, m in zip(seconds, metres, strict=True))
    return Way(tuple(points), seconds, metres, legs, pace.method)
