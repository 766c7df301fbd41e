"""What is said about ways: a matrix, a way with its line, a matched piece of a route. Values."""

from dataclasses import dataclass

from common.roads.pace import Method

# Latitude and longitude in WGS84 degrees.
Point = tuple[float, float]
# Rows of seconds or metres; None where there is no way.
Rows = list[list[float | None]]


@dataclass(frozen=True, slots=True)
class Matrix:
    """From each source (a row) to each target (a column)."""

    durations_s: Rows
    distances_m: Rows
    method: Method


@dataclass(frozen=True, slots=True)
class Leg:
    """The part of a way between two of the points that were asked for."""

    duration_s: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class Way:
    """A way through all points that were asked for, in their order.

    `points`: the line that is driven, two points or more. `step_s` and `step_m`: seconds and
    metres of each of its steps, one fewer than there are points; they add up to those of `legs`.
    """

    points: tuple[Point, ...]
    step_s: tuple[float, ...]
    step_m: tuple[float, ...]
    legs: tuple[Leg, ...]
    method: Method

    @property
    def duration_s(self) -> float:
        """Seconds from the first point to the last."""
        return sum(leg.duration_s for leg in self.legs)

    @property
    def distance_m(self) -> float:
        """Metres from the first point to the last."""
        return sum(leg.distance_m for leg in self.legs)


@dataclass(frozen=True, slots=True)
class MatchedLeg:
    """The way between two fixes of a trace that follow each other on the roads.

    `begin_s` and `end_s`: their times. `step_s` and `step_m`: what the engine holds each
    step of `points` to take, without turns, which `duration_s` counts too. `nodes`: the map's
    nodes that it passes, one more than steps, where they were asked for.
    """

    begin_s: float
    end_s: float
    points: tuple[Point, ...]
    step_s: tuple[float, ...]
    step_m: tuple[float, ...]
    nodes: tuple[int, ...]
    duration_s: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class MatchedPiece:
    """A part of a trace that follows roads. `confidence`: 0 to 1."""

    legs: tuple[MatchedLeg, ...]
    confidence: float
