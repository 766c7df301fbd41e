"""Pairs of measurements, one with and one without, and what they say together. Pure."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# Without and with.
SIDES = (False, True)


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


def ratio(without: Sequence[float], having: Sequence[float]) -> Difference:
    """How many times as much, pair by pair. Both hold at least one value, and as many."""
    return _difference([b / a for a, b in zip(without, having, strict=True)])


def added(without: Sequence[float], having: Sequence[float]) -> Difference:
    """How much more, pair by pair."""
    return _difference([b - a for a, b in zip(without, having, strict=True)])


def _difference(values: list[float]) -> Difference:
    if len(values) == 1:
        values *= 2
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Difference(round(median, 4), round(low, 4), round(high, 4))
