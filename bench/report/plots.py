"""Plots of a result: rates beside ceiling and plain design, CPU by role, latency curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.load.percentiles import EDGES_MS
from bench.report.result import Figure
from bench.report.table import ROLES, number

mpl.use("Agg")

# Ours, the ceiling of the same work, and the plain design.
RATES = (
    ("POST one", "ingest_one.direct", "ingest_one.empty", "ingest_one.plain"),
    ("POST many", "ingest_many.100", "ingest_many.xadd", ""),
    ("store", "drain.1", "drain.copy", "drain.plain"),
    ("fan-out", "fanout.rate", "fanout.bare", "fanout_plain.rate"),
)
COSTS = (
    "ingest_one.direct", "ingest_many.100", "drain.1", "drain.2", "drain.4", "drain.8",
    "sustained.one", "sustained.many",
)  # fmt: skip
CURVES = (
    "end_to_end.direct.ingest", "end_to_end.direct.frame", "end_to_end.nginx.ingest",
    "end_to_end.nginx.frame",
)  # fmt: skip
COLOURS = ("#1f6feb", "#9aa4b2", "#d97706")


def draw(figures: Mapping[str, Figure], folder: Path, stem: str) -> list[Path]:
    """Draw what there are figures for; the files that were written."""
    import matplotlib.pyplot as plt

    written = []
    for name, plot in (("rates", _rates), ("cpu", _costs), ("latency", _latencies)):
        canvas, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        if plot(axes, figures):
            path = folder / f"{stem}-{name}.png"
            canvas.savefig(path, dpi=110)
            written.append(path)
        plt.close(canvas)
    return written


def _rates(axes: Any, figures: Mapping[str, Figure]) -> bool:
    shown = [row for row in RATES if row[1] in figures]
    for index, kind in enumerate(("Fleetline", "ceiling", "plain design")):
        places, values = [], []
        for place, row in enumerate(shown):
            if row[index + 1] in figures:
                places.append(place + (index - 1) * 0.27)
                values.append(figures[row[index + 1]].value)
        bars = axes.bar(places, values, width=0.26, label=kind, color=COLOURS[index])
        axes.bar_label(bars, [number(value) for value in values], fontsize=8, padding=2)
    axes.set_yscale("log")
    axes.set_ylim(100, None)
    axes.margins(y=0.15)
    axes.set_xticks(range(len(shown)), [row[0] for row in shown])
    axes.set_ylabel("a second")
    axes.set_title("Fixes (fan-out: frames) a second, one process of each role")
    axes.legend(loc="upper left", fontsize=8)
    return bool(shown)


def _costs(axes: Any, figures: Mapping[str, Figure]) -> bool:
    shown = [figures[key] for key in COSTS if figures.get(key) and figures[key].cpu_us]
    left = [0.0] * len(shown)
    for role in ROLES:
        values = [figure.cpu_us.get(role, 0.0) for figure in shown]
        if any(values):
            axes.barh(range(len(shown)), values, left=left, label=role)
            left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_yticks(range(len(shown)), [figure.label for figure in shown])
    axes.invert_yaxis()
    axes.set_xlabel("µs of CPU a fix")
    axes.set_title("What a fix costs, by role")
    if shown:
        axes.legend(fontsize=8)
    return bool(shown)


def _latencies(axes: Any, figures: Mapping[str, Figure]) -> bool:
    shown = [figures[key] for key in CURVES if figures.get(key) and any(figures[key].histogram)]
    for figure in shown:
        shares = _beyond(figure.histogram)
        axes.plot(EDGES_MS[1:], shares, label=figure.label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.3, 300)
    axes.set_ylim(1e-4, 1)
    axes.set_xlabel("ms")
    axes.set_ylabel("share that took longer")
    axes.set_title("Latency at 2,000 fixes/s")
    axes.grid(alpha=0.3)
    if shown:
        axes.legend(fontsize=8)
    return bool(shown)


def _beyond(bins: Sequence[int]) -> list[float]:
    """Share of the samples above each bin's upper edge."""
    total, seen, shares = sum(bins), 0, []
    for count in bins:
        seen += count
        shares.append((total - seen) / total)
    return shares
