"""Numbers as Prometheus reads them: its text format, or OpenMetrics where that is asked for.

The formats are `prometheus_client`'s work; only what it writes down comes from here.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from common.metrics.metric import Metric, MetricKind
from common.metrics.snapshot import Labels, Value, Values


class Page(Collector):
    """All series of a role, in the order of the list."""

    def __init__(self, catalogue: Mapping[str, Metric], values: Values) -> None:
        self._catalogue = catalogue
        self._values = values

    def collect(self) -> Iterable[Family]:
        """One family for each metric that has a series."""
        for name, metric in self._catalogue.items():
            by_labels = self._values.get(name)
            if by_labels:
                yield _family(metric, by_labels)

    def encoded(self, accept: str) -> tuple[bytes, str]:
        """The page and its media type, for a header Accept."""
        encode, media_type = choose_encoder(accept)
        return encode(self), media_type


def _family(metric: Metric, by_labels: Mapping[Labels, Value]) -> Family:
    name = metric.name.removesuffix("_total")
    family = Family(name, metric.means.replace("`", ""), metric.kind.value)
    for labels, value in sorted(by_labels.items()):
        named = dict(zip(metric.labels, labels, strict=True))
        if isinstance(value, list):
            for suffix, more, number in _buckets(metric, value):
                family.add_sample(f"{name}{suffix}", {**named, **more}, number)
        else:
            suffix = "_total" if metric.kind is MetricKind.COUNTER else ""
            family.add_sample(f"{name}{suffix}", named, value)
    return family


def _buckets(metric: Metric, value: list[float]) -> Iterator[tuple[str, dict[str, str], float]]:
    *counts, total = value
    ends = [*map(floatToGoString, metric.bounds), "+Inf"]
    sums = list(accumulate(counts))
    for end, number in zip(ends, sums, strict=True):
        yield "_bucket", {"le": end}, number
    yield "_count", {}, sums[-1]
    yield "_sum", {}, total
