"""Pairs of measurements, one with and one without, and what they say together. Pure."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# Without and with.
SIDES = (False, True)
# What each side of a pair took.
Pair = Mapping[bool, float]


class Difference(NamedTuple):
    """The median over all pairs, and between what a quarter and three quarters of them lie."""

    median: float
    low: float
    high: float

    def totals(self) -> Mapping[str, Any]:
        """As figures carry it."""
        return {"quarter": self.low, "three_quarters": self.high}


def turns(pairs: int) -> Iterator[bool]:
    """Without, with, with, without, …: a machine that slows down by and by hits both alike."""
    for pair in range(pairs):
        yield from SIDES if pair % 2 == 0 else reversed(SIDES)


def ratio(pairs: Sequence[Pair]) -> Difference:
    """How many times as much, pair by pair; at least one."""
    return _difference([pair[True] / pair[False] for pair in pairs])


def added(pairs: Sequence[Pair]) -> Difference:
    """How much more, pair by pair."""
    return _difference([pair[True] - pair[False] for pair in pairs])


def median_of(pairs: Sequence[Pair], side: bool) -> float:
    """What one side took."""
    return round(statistics.median(pair[side] for pair in pairs), 3)


def _difference(values: list[float]) -> Difference:
    if len(values) == 1:
        values *= 2
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Difference(round(median, 4), round(low, 4), round(high, 4))
