"""What came of earlier predictions, and what that says of the next one. Pure.

An engine knows no traffic lights and no courier who looks for a house. How long ways really took,
against what was computed, is known by method and by how much was left: the middle of it corrects
the estimate, the tenths are the ends of the interval.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from math import exp, log
from typing import Final, NamedTuple

from common.arrivals.arrival import Rest
from common.roads.pace import Method

# Edges of what was left, in seconds: less than 5 minutes, 10, 20, 40, and more.
EDGES_S: Final = (300.0, 600.0, 1200.0, 2400.0)
# The middle of each, where its numbers hold; between two of them they go over into each other, so
# that an arrival does not jump as time passes.
CENTRES_S: Final = (150.0, 450.0, 900.0, 1800.0, 3600.0)
# Orders below which such numbers say nothing.
ORDERS_MIN = 30
# A correction beyond this is a fault somewhere: a wrong graph, tests among the orders.
CORRECTION_MAX = 3.0
# Of an engine's time, before anything is known of its errors: couriers take a fifth less up to
# half as much again.
ROADS_LOW, ROADS_HIGH = 0.8, 1.5
# No interval ends nearer than this to the estimate: a door, or a light, takes so long.
HALF_WIDTH_MIN_S = 20.0


class ErrorRow(NamedTuple):
    """Of one method and one class of what was left: quantiles of ln(real / computed)."""

    method: str
    edge: int
    orders: int
    low: float
    middle: float
    high: float


class _Node(NamedTuple):
    at: float
    low: float
    middle: float
    high: float


class PastErrors:
    """Corrects and widens what was computed."""

    def __init__(self, rows: Iterable[ErrorRow] = ()) -> None:
        found: dict[str, list[_Node]] = {}
        for row in sorted(rows, key=lambda r: r.edge):
            if row.orders >= ORDERS_MIN and 0 <= row.edge < len(CENTRES_S):
                quantiles = (_bounded(value) for value in (row.low, row.middle, row.high))
                node = _Node(log(CENTRES_S[row.edge]), *quantiles)
                found.setdefault(row.method, []).append(node)
        self._nodes: Mapping[str, list[_Node]] = found

    def correct(self, rest: Rest) -> Rest:
        """What is likely left, and the interval that holds 80 %."""
        nodes = self._nodes.get(rest.method)
        if nodes:
            low, middle, high = _between(nodes, log(max(1.0, rest.seconds)))
            seconds = rest.seconds * exp(middle)
            low_s, high_s = rest.seconds * exp(low), rest.seconds * exp(high)
        else:
            seconds, low_s, high_s = rest.seconds, rest.low_s, rest.high_s
        half_s = min(HALF_WIDTH_MIN_S, seconds)
        return Rest(
            seconds,
            min(low_s, seconds - half_s),
            max(high_s, seconds + HALF_WIDTH_MIN_S),
            rest.metres,
            rest.method,
        )


def rest_on_roads(seconds: float, metres: float) -> Rest:
    """What is left as the engine has it."""
    return Rest(seconds, seconds * ROADS_LOW, seconds * ROADS_HIGH, metres, _ROADS)


_ROADS: Final[Method] = "roads"


def _bounded(value: float) -> float:
    return max(-log(CORRECTION_MAX), min(log(CORRECTION_MAX), value))


def _between(nodes: list[_Node], at: float) -> tuple[float, float, float]:
    after = bisect_right(nodes, at, key=lambda node: node.at)
    if after == 0 or after == len(nodes):
        return nodes[min(after, len(nodes) - 1)][1:]
    a, b = nodes[after - 1], nodes[after]
    share = (at - a.at) / (b.at - a.at)
    low, middle, high = (x + share * (y - x) for x, y in zip(a[1:], b[1:], strict=True))
    return low, middle, high
