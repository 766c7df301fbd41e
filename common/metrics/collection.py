"""The numbers of a role: those of its processes, put together. Pure.

Counters and histograms of processes that ended stay in the sum, so neither falls when a process
dies; what it counted after its last report is lost. Gauges go with their process.
"""

from collections.abc import Mapping

from common.metrics.metric import Merge, Metric, MetricKind
from common.metrics.snapshot import Labels, Value, Values

# The label that a process does not know of itself: its main process gives it.
PROCESS_LABEL = ("process",)


class Collection:
    """What the processes of a role said last, by process."""

    def __init__(self, catalogue: Mapping[str, Metric]) -> None:
        self._catalogue = catalogue
        self._latest: dict[str, Values] = {}
        # What processes counted that have ended.
        self._before: Values = {}

    def report(self, process: str, values: Values) -> None:
        """`process` says its numbers. What is in no list is left out: it is another release's."""
        known: Values = {}
        for name, by_labels in values.items():
            metric = self._catalogue.get(name)
            if metric is None:
                continue
            if metric.labels == PROCESS_LABEL and () in by_labels:
                by_labels = {(process,): by_labels[()]}  # noqa: PLW2901
            known[name] = {
                labels: value
                for labels, value in by_labels.items()
                if len(labels) == len(metric.labels) and _is_of(metric, value)
            }
        self._latest[process] = known

    def ended(self, process: str) -> None:
        """`process` has ended; another of its name may follow, and counts from 0."""
        for name, by_labels in self._latest.pop(process, {}).items():
            if self._catalogue[name].kind is not MetricKind.GAUGE:
                _add(self._before.setdefault(name, {}), by_labels)

    def merged(self) -> Values:
        """All of it."""
        merged: Values = {name: dict(by_labels) for name, by_labels in self._before.items()}
        for values in self._latest.values():
            for name, by_labels in values.items():
                into = merged.setdefault(name, {})
                metric = self._catalogue[name]
                if metric.kind is MetricKind.GAUGE and metric.merge is not Merge.SUM:
                    _choose(into, by_labels, metric.merge)
                else:
                    _add(into, by_labels)
        return merged


def _is_of(metric: Metric, value: Value) -> bool:
    if metric.kind is MetricKind.HISTOGRAM:
        return isinstance(value, list) and len(value) == len(metric.bounds) + 2
    return not isinstance(value, list)


def _add(into: dict[Labels, Value], by_labels: Mapping[Labels, Value]) -> None:
    for labels, value in by_labels.items():
        known = into.get(labels)
        if known is None:
            into[labels] = value
        elif isinstance(known, list) and isinstance(value, list):
            into[labels] = [a + b for a, b in zip(known, value, strict=True)]
        elif not isinstance(known, list) and not isinstance(value, list):
            into[labels] = known + value


def _choose(into: dict[Labels, Value], by_labels: Mapping[Labels, Value], merge: Merge) -> None:
    choose = min if merge is Merge.LEAST else max
    for labels, value in by_labels.items():
        known = into.get(labels, value)
        if not isinstance(known, list) and not isinstance(value, list):
            into[labels] = choose(known, value)
