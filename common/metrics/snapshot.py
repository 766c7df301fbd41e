"""The numbers of one process at one moment, and their bytes on the way to its role's main process.

Pure. What counts is asked for its numbers about once a second; see `Snapshot.put`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from common.event import MALFORMED
from common.metrics.histogram import Histogram
from common.metrics.metric import Metric

Labels = tuple[str, ...]
# A number, or the counts of a histogram's buckets with the sum of its values behind them.
Value = float | list[float]
# Name of a metric -> values of its labels, in their order -> value.
Values = dict[str, dict[Labels, Value]]


class Snapshot:
    """Numbers by metric and labels."""

    def __init__(self) -> None:
        self.values: Values = {}

    def put(self, metric: Metric, value: float, *labels: object) -> None:
        """Give a number. `labels` are the values of the metric's labels, in their order."""
        self.values.setdefault(metric.name, {})[tuple(map(str, labels))] = value

    def put_histogram(self, metric: Metric, histogram: Histogram, *labels: object) -> None:
        """Give a histogram, likewise."""
        value = [*map(float, histogram.counts), histogram.total]
        self.values.setdefault(metric.name, {})[tuple(map(str, labels))] = value

    def add_histogram(self, metric: Metric, histogram: Histogram, *labels: object) -> None:
        """Give a part of a histogram: all parts are added up."""
        by_labels = self.values.setdefault(metric.name, {})
        key = tuple(map(str, labels))
        known = by_labels.get(key)
        self.put_histogram(metric, histogram, *labels)
        added = by_labels[key]
        if isinstance(known, list) and isinstance(added, list):
            by_labels[key] = [a + b for a, b in zip(known, added, strict=True)]

    def put_each(self, metric: Metric, counts: Mapping[Any, float], *labels: object) -> None:
        """Give several numbers: the keys of `counts` are the values of the last label."""
        for last, count in counts.items():
            self.put(metric, count, *labels, last)


# Gives what it counts.
Source = Callable[[Snapshot], None]


class _Series(NamedTuple):
    name: str
    labels: Labels
    value: Value


class Report(NamedTuple):
    """A snapshot and whose it is."""

    pid: int
    series: list[_Series]

    def values(self) -> Values:
        """As `Snapshot.values`."""
        values: Values = {}
        for name, labels, value in self.series:
            values.setdefault(name, {})[labels] = value
        return values


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Report).decode


def encode_report(pid: int, values: Values) -> bytes:
    """The bytes of a report."""
    series = [
        _Series(name, labels, value)
        for name, by_labels in values.items()
        for labels, value in by_labels.items()
    ]
    return _encode(Report(pid, series))


def decode_report(data: bytes) -> Report | None:
    """Read a report; None for bytes that are none."""
    try:
        return _decode(data)
    except MALFORMED:
        return None
