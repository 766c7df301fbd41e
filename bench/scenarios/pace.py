"""The fallback of arrivals on a recorded bus line: how right it is. No server is asked."""

from collections.abc import Iterable

from bench.context import Bench
from bench.pace import bus, judge
from bench.report.result import Figure

NAME = "pace"
TITLE = "Arrivals without roads: error on a recorded bus line, learned from its earlier runs"
BOUND_S = 30.0


def run(_bench: Bench) -> Iterable[Figure]:
    """The same whatever the run: nothing here is random or timed."""
    judged = judge(bus())
    totals = {"predictions": judged.predictions}
    yield Figure("pace.error", "arrivals by the pace of earlier trips: mean error",
                 round(judged.error_min, 2), "min", totals=totals)  # fmt: skip
    yield Figure("pace.straight", "arrivals by a straight line at 25 km/h: mean error",
                 round(judged.straight_error_min, 2), "min")  # fmt: skip
    yield Figure("pace.coverage", "arrivals by the pace of earlier trips: held by the interval",
                 round(judged.coverage * 100), "%")  # fmt: skip
