"""A metric: its name, its labels, and what its number means to a person."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """How the number behaves."""

    # Only ever grows; its name ends with `_total`.
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge(StrEnum):
    """What becomes of a gauge that several processes of a role give with the same labels."""

    SUM = "sum"
    LEAST = "least"
    MOST = "most"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `worry`: when somebody should look at it; empty where it only explains others.

    No label may hold what a client can choose freely, nor a driver or an order: each value of a
    label is a series that Prometheus keeps.
    """

    name: str
    kind: MetricKind
    means: str
    worry: str = ""
    labels: tuple[str, ...] = ()
    merge: Merge = Merge.SUM
    # Upper bounds of a histogram's buckets, without the last, which is infinite.
    bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind is MetricKind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters alone end with _total")
        if (self.kind is MetricKind.HISTOGRAM) != bool(self.bounds):
            raise ValueError(f"{self.name}: histograms alone have bounds")


def counter(name: str, means: str, worry: str = "", labels: tuple[str, ...] = ()) -> Metric:
    """A number that only grows."""
    return Metric(name, MetricKind.COUNTER, means, worry, labels)


def gauge(
    name: str,
    means: str,
    worry: str = "",
    labels: tuple[str, ...] = (),
    merge: Merge = Merge.SUM,
) -> Metric:
    """A number as it is now."""
    return Metric(name, MetricKind.GAUGE, means, worry, labels, merge)


def histogram(
    name: str,
    means: str,
    worry: str = "",
    labels: tuple[str, ...] = (),
    *,
    bounds: tuple[float, ...],
) -> Metric:
    """How often a value lay below each of `bounds`."""
    return Metric(name, MetricKind.HISTOGRAM, means, worry, labels, bounds=bounds)
