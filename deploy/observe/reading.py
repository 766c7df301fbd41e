"""The pages of all roles, read at one moment, and what follows from two of them. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass(slots=True)
class PagesReading:
    """What the roles said at `at_s` (monotonic). `roles`: those that answered."""

    at_s: float
    roles: list[str] = field(default_factory=list)
    # Name of a sample -> labels -> value.
    samples: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def add_page(self, role: str, text: str) -> None:
        """The page of one role."""
        self.roles.append(role)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                self.samples.setdefault(sample.name, {})[labels] = sample.value

    def values(self, name: str, **where: str) -> list[float]:
        """All series of a metric with these labels."""
        wanted = frozenset(where.items())
        return [v for labels, v in self.samples.get(name, {}).items() if wanted <= labels]

    def total(self, name: str, **where: str) -> float:
        """Their sum."""
        return sum(self.values(name, **where))

    def most(self, name: str, **where: str) -> float | None:
        """The largest, None where there is none."""
        return max(self.values(name, **where), default=None)

    def least(self, name: str, **where: str) -> float | None:
        """The smallest, None where there is none."""
        return min(self.values(name, **where), default=None)

    def label_values(self, name: str, label: str) -> list[str]:
        """The values of a label, numbers in their order."""
        found = {dict(labels).get(label, "") for labels in self.samples.get(name, {})}
        return sorted(found - {""}, key=lambda text: (len(text), text))


@dataclass(frozen=True, slots=True)
class Change:
    """What happened between two readings."""

    before: PagesReading
    after: PagesReading

    def rate(self, name: str, **where: str) -> float:
        """How fast a counter grew, a second. One that began anew counts from 0."""
        seconds = self.after.at_s - self.before.at_s
        grown = self.after.total(name, **where) - self.before.total(name, **where)
        if grown < 0:
            grown = self.after.total(name, **where)
        return grown / seconds if seconds > 0 else 0.0

    def quantile(self, share: float, name: str) -> float | None:
        """The value below which `share` of what was observed lies; None where nothing was.

        Within a bucket linear, as PromQL's `histogram_quantile`.
        """
        buckets = {
            bound: _sum(self.after, f"{name}_bucket", bound)
            - _sum(self.before, f"{name}_bucket", bound)
            for bound in self.after.label_values(f"{name}_bucket", "le")
        }
        return _quantile(share, {float(bound): count for bound, count in buckets.items()})


def _sum(reading: PagesReading, name: str, bound: str) -> float:
    return reading.total(name, le=bound)


def _quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    bounds: Iterable[float] = sorted(buckets)
    count = buckets.get(math.inf, 0.0)
    if count <= 0:
        return None
    rank, below, start = share * count, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return start
            inside = buckets[bound] - below
            return start + (bound - start) * ((rank - below) / inside if inside else 1.0)
        below, start = buckets[bound], bound
    return start
