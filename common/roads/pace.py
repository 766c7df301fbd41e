"""How long a way takes, known only how far it is: the fallback without a road graph. Pure.

What the fleet's own trips have shown answers first (`history`): seconds are log-linear in the
distance and in the driver's own speed of the last minutes (`common.roads.pace_fit` learns it). A
fleet without trips is answered by the straight line (`straight`), and a wide interval.
"""

from collections.abc import Mapping
from math import exp, log
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import msgspec

Method = Literal["roads", "history", "straight"]

# Below this a way takes what this much takes: a fix is not better known than that.
DISTANCE_MIN_M = 30.0
# Beyond this nothing is learned; a longer way is so many of these one after the other.
DISTANCE_MAX_M = 100_000.0
# Added to a speed before its logarithm: a driver who stands still goes on some time. Half a walker.
SPEED_FLOOR_MPS = 0.5
# Metres on the roads for one of the straight line, where no trips say better. Boscoe et al. 2012
# ("A Nationwide Comparison of Driving Distance Versus Straight-Line Distance"): 1.4.
DETOUR = 1.4
# Metres a second on the way, stops at lights and all: a bus of Liverpool, a courier, a walker.
STRAIGHT_MPS: Final[Mapping[str, float]] = MappingProxyType(
    {"car": 18 / 3.6, "bicycle": 14 / 3.6, "foot": 4.8 / 3.6}
)
DEFAULT_VEHICLE = "car"
# Shares of such an estimate that hold 80 % of what came of it, for that bus.
STRAIGHT_LOW, STRAIGHT_HIGH = 0.65, 1.8


class Estimate(NamedTuple):
    """Seconds that a way takes; 80 % of ways take `low_s` to `high_s`."""

    seconds: float
    low_s: float
    high_s: float
    method: Method


class PaceTerms(msgspec.Struct, frozen=True, gc=False):
    """ln(seconds) = base + by_distance * ln(metres) + by_speed * ln(m/s + SPEED_FLOOR_MPS).

    `low` and `high`: what is added for the ends of the interval.
    """

    base: float
    by_distance: float
    by_speed: float
    low: float
    high: float

    def estimate(self, distance_m: float, speed_mps: float) -> Estimate:
        """Of a straight line of `distance_m`."""
        whole = max(DISTANCE_MIN_M, min(distance_m, DISTANCE_MAX_M))
        exponent = self.base + self.by_distance * log(whole)
        exponent += self.by_speed * log(max(0.0, speed_mps) + SPEED_FLOOR_MPS)
        times = max(1.0, distance_m / DISTANCE_MAX_M)
        seconds, low_s, high_s = (
            times * exp(exponent + more) for more in (0.0, min(0.0, self.low), max(0.0, self.high))
        )
        return Estimate(seconds, low_s, high_s, "history")


class PaceFit(msgspec.Struct, frozen=True, gc=False):
    """What the trips of one kind of vehicle say."""

    # How many they were.
    trips: int
    # Where the driver's speed is known, and where it is not.
    moving: PaceTerms
    plain: PaceTerms
    # Metres driven for one of the straight line.
    detour: float = DETOUR


class Pace:
    """Answers for one kind of vehicle. `fit`: what was learned; None: nothing yet."""

    def __init__(self, fit: PaceFit | None = None, vehicle: str | None = None) -> None:
        self.fit = fit
        self._straight_mps = STRAIGHT_MPS.get(vehicle or "", STRAIGHT_MPS[DEFAULT_VEHICLE])

    @property
    def method(self) -> Method:
        """What it answers by."""
        return "straight" if self.fit is None else "history"

    def estimate(self, distance_m: float, recent_mps: float | None = None) -> Estimate:
        """How long `distance_m` of straight line takes.

        `recent_mps`: how fast the driver came forward in the last minutes, along the straight
        line, stops and all (m/s); None where that is not known.
        """
        if self.fit is None:
            seconds = self.way_m(max(0.0, distance_m)) / self._straight_mps
            return Estimate(seconds, seconds * STRAIGHT_LOW, seconds * STRAIGHT_HIGH, "straight")
        if recent_mps is None:
            return self.fit.plain.estimate(distance_m, 0.0)
        return self.fit.moving.estimate(distance_m, recent_mps)

    def way_m(self, distance_m: float) -> float:
        """Metres that are likely driven for a straight line of `distance_m`."""
        return distance_m * (DETOUR if self.fit is None else self.fit.detour)
