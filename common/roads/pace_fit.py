"""Learns how long ways take from the fleet's own trips. Pure.

ln(seconds) is linear in ln(metres) and ln(speed): long ways are driven faster, and who came forward
slowly in the last minutes goes on slowly. A few trips say little about the two slopes, so these are
held near `SLOPES` as firmly as the trips scatter (ridge regression, that is a normal prior); below
`TRIPS_MIN` they stand, and only a median is learned. Each trip counts once, however many samples it
has: those of one trip err together. The ends of the interval are quantiles of what the others say
of each trip (leave one out), so they hold for trips that were not learned from.
"""

from collections.abc import Iterable, Sequence
from math import exp, log
from statistics import median
from typing import NamedTuple

from common.geo.sphere import distance_m
from common.roads.pace import DETOUR, DISTANCE_MIN_M, SPEED_FLOOR_MPS, PaceFit, PaceTerms

# How far back a driver's speed looks, and the least of it that says anything.
WINDOW_S = 300.0
WINDOW_MIN_S = 30.0
# Between two samples of a trip; a shorter rest of it is none.
SAMPLE_EVERY_S = 60.0
REST_MIN_S = 30.0
SAMPLES_MAX = 12
# Of ln(metres) and ln(m/s), before any trip has said better: ten times the way takes four times as
# long, and twice the speed two thirds.
SLOPES = (0.6, -0.6)
# How far from these a fleet's may lie: variance of each slope.
SLOPE_VARIANCE = 0.03
# Trips below which only the median is learned.
TRIPS_MIN = 8
# The interval holds the share between them.
LOW, HIGH = 0.1, 0.9
# Least scatter of ln(seconds): trips that are all alike must not make everything certain.
VARIANCE_MIN = 0.01

# (seconds of any clock, degrees): fixes of one driver in their order.
TimedPlace = tuple[float, float, float]
Vector = tuple[float, ...]


class PaceSample(NamedTuple):
    """A moment of a trip: the straight line to its end, the speed until then, the time it took."""

    distance_m: float
    recent_mps: float | None
    seconds: float


class LearnedTrip(NamedTuple):
    """The samples of a trip, and metres driven for one of its straight line."""

    samples: Sequence[PaceSample]
    detour: float | None = None


def recent_mps(places: Sequence[TimedPlace], last: int) -> float | None:
    """How fast the driver came forward until `places[last]`; None where too little is known."""
    at, latitude, longitude = places[last]
    first = last
    while first > 0 and places[first - 1][0] >= at - WINDOW_S:
        first -= 1
    begun, *before = places[first]
    if at - begun < WINDOW_MIN_S:
        return None
    return distance_m(before[0], before[1], latitude, longitude) / (at - begun)


def samples_of(places: Sequence[TimedPlace], most: int = SAMPLES_MAX) -> list[PaceSample]:
    """What a trip shows: a sample a minute, or `most` of them evenly over a longer one."""
    end, *there = places[-1]
    every_s = max(SAMPLE_EVERY_S, (end - places[0][0]) / most)
    samples: list[PaceSample] = []
    due = places[0][0]
    for index, (at, latitude, longitude) in enumerate(places):
        if at < due or end - at < REST_MIN_S:
            continue
        due = at + every_s
        rest_m = distance_m(latitude, longitude, *there)
        samples.append(PaceSample(rest_m, recent_mps(places, index), end - at))
    return samples


def learn(trips: Iterable[LearnedTrip]) -> PaceFit | None:
    """What these trips say; None where they say nothing."""
    known = [trip for trip in trips if trip.samples]
    plain = _terms([[_plain(s) for s in trip.samples] for trip in known], SLOPES[:1])
    if plain is None:
        return None
    moving_points = ([_moving(s) for s in t.samples if s.recent_mps is not None] for t in known)
    moving = _terms([points for points in moving_points if points], SLOPES) or plain
    detours = [trip.detour for trip in known if trip.detour is not None]
    return PaceFit(len(known), moving, plain, median(detours) if detours else DETOUR)


class _Point(NamedTuple):
    """ln(seconds), and what it is made of."""

    y: float
    x: Vector


def _plain(sample: PaceSample) -> _Point:
    return _Point(log(sample.seconds), (log(max(DISTANCE_MIN_M, sample.distance_m)),))


def _moving(sample: PaceSample) -> _Point:
    y, (metres,) = _plain(sample)
    return _Point(y, (metres, log((sample.recent_mps or 0.0) + SPEED_FLOOR_MPS)))


class _Sums:
    """Normal equations, and what each trip adds to them: 1 in all, whatever its samples."""

    def __init__(self, trips: Sequence[Sequence[_Point]], prior: Vector) -> None:
        self._prior = prior
        self._parts = [self._part(points) for points in trips]
        size = len(self._parts[0])
        self._whole = [sum(part[i] for part in self._parts) for i in range(size)]

    def _part(self, points: Sequence[_Point]) -> list[float]:
        """Mean of the products of (1, x…) and of what the prior leaves of y: row by row."""
        width = len(self._prior) + 1
        sums = [0.0] * (width * (width + 1))
        for y, x in points:
            rest = y - sum(slope * value for slope, value in zip(self._prior, x, strict=True))
            row = (1.0, *x, rest)
            place = 0
            for left in row[:-1]:
                for right in row:
                    sums[place] += left * right
                    place += 1
        return [value / len(points) for value in sums]

    def solved(self, ridge: float, without: int | None = None) -> Vector:
        """(base, slopes…) of all trips, or of all but one; `ridge` pulls slopes to the prior."""
        width = len(self._prior) + 1
        flat = self._whole
        if without is not None:
            flat = [a - b for a, b in zip(flat, self._parts[without], strict=True)]
        rows = [flat[i * (width + 1) : (i + 1) * (width + 1)] for i in range(width)]
        for i in range(1, width):
            rows[i][i] += ridge
        base, *slopes = _solve(rows)
        return (base, *(a + b for a, b in zip(self._prior, slopes, strict=True)))


def _solve(rows: list[list[float]]) -> list[float]:
    """Gauss and Jordan; the matrix is positive definite by its ridge, so pivots are not sought."""
    for i, pivot in enumerate(rows):
        for j, row in enumerate(rows):
            if i != j:
                factor = row[i] / pivot[i]
                rows[j] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def _rest(point: _Point, terms: Vector) -> float:
    return point.y - terms[0] - sum(a * b for a, b in zip(terms[1:], point.x, strict=True))


def _terms(trips: Sequence[Sequence[_Point]], prior: Vector) -> PaceTerms | None:
    if not trips:
        return None
    if len(trips) < TRIPS_MIN:
        alone = (0.0, *prior)
        rests = [[_rest(point, alone) for point in points] for points in trips]
        base = _quantile(rests, 0.5)
        return _with_ends((base, *prior), [[rest - base for rest in part] for part in rests])
    sums = _Sums(trips, prior)
    # First nearly free slopes, which say how much the trips scatter; by that they are held.
    loose = sums.solved(VARIANCE_MIN / SLOPE_VARIANCE)
    squares = [sum(_rest(p, loose) ** 2 for p in points) / len(points) for points in trips]
    ridge = max(VARIANCE_MIN, sum(squares) / len(squares)) / SLOPE_VARIANCE
    terms = sums.solved(ridge)
    rests = []
    for index, points in enumerate(trips):
        others = sums.solved(ridge, without=index)
        rests.append([_rest(point, others) for point in points])
    middle = _quantile(rests, 0.5)
    terms = (terms[0] + middle, *terms[1:])
    return _with_ends(terms, [[rest - middle for rest in part] for part in rests])


def _with_ends(terms: Vector, rests: Sequence[Sequence[float]]) -> PaceTerms:
    by_speed = terms[2] if len(terms) > 2 else 0.0
    return PaceTerms(terms[0], terms[1], by_speed, _quantile(rests, LOW), _quantile(rests, HIGH))


def _quantile(parts: Sequence[Sequence[float]], share: float) -> float:
    """Of all values, those of each part weighing 1 together."""
    values = sorted((value, 1 / len(part)) for part in parts for value in part)
    due = share * len(parts)
    for value, weight in values:
        due -= weight
        if due <= 0:
            return value
    return values[-1][0]


def detour_of(places: Sequence[TimedPlace], driven_m: float) -> float | None:
    """Metres driven for one of the straight line; None for a trip that came back."""
    straight_m = distance_m(*places[0][1:], *places[-1][1:])
    detour = driven_m / straight_m if straight_m else 0.0
    # More is a round tour, whose straight line says nothing; less is no distance on this sphere.
    return detour if 1.0 <= detour <= exp(1.0) else None
