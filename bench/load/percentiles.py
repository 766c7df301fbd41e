"""Latencies as percentiles and as a histogram. Exact: every sample is kept and sorted. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence

# Nearest rank; max stands beside them.
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
# Edges of the histogram for the plots, in milliseconds: 20 a decade from 0.01 to 100,000.
EDGES_MS = tuple(round(10 ** (n / 20 - 2), 6) for n in range(141))


def percentile(ordered: Sequence[float], quantile: float) -> float:
    """The nearest-rank percentile of sorted samples: a value that was seen."""
    if not ordered:
        raise ValueError("no samples")
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


def summary(samples: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99, p99.9, max and count of samples in milliseconds; empty without any."""
    if not samples:
        return {}
    ordered = sorted(samples)
    found = {name: round(percentile(ordered, q), 3) for name, q in QUANTILES.items()}
    return {**found, "max": round(ordered[-1], 3), "count": len(ordered)}


def histogram(samples: Sequence[float]) -> list[int]:
    """How many samples (ms) lie in each bin of EDGES_MS; below and above count at the ends."""
    bins = [0] * (len(EDGES_MS) - 1)
    for sample in samples:
        bins[min(max(bisect_right(EDGES_MS, sample) - 1, 0), len(bins) - 1)] += 1
    return bins
