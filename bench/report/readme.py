"""Puts a result into the README, between two marks, with two plots, and the report into docs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report.result import without_histograms

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
# Tracked, unlike bench/results/.
PLOTS = Path("docs/bench")
SHOWN = ("rates", "cpu")
# The whole report, beside them.
RESULTS = PLOTS / "results.md"
# The figures, from which sizes are computed (`bench.capacity`).
RESULTS_JSON = PLOTS / "results.json"


def put(text: str, section: str) -> str:
    """`text` with `section` between the marks; at its end if it has none. Pure."""
    block = f"{BEGIN}\n{section.strip()}\n{END}"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + block + after
    return text.rstrip("\n") + f"\n\n## Benchmarks\n\n{block}\n"


def update(
    root: Path, section: str, report: str, found: Mapping[str, Any], plots: Sequence[Path]
) -> None:
    """Write README.md, the report and its figures, and copy the plots."""
    folder = root / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for plot in plots:
        name = plot.stem.rpartition("-")[2]
        if name in SHOWN:
            shutil.copyfile(plot, folder / f"{name}.png")
            images.append(f"![{name}]({PLOTS}/{name}.png)")
    (root / RESULTS).write_text(f"# Results of `make bench`\n\n{report}")
    (root / RESULTS_JSON).write_text(json.dumps(without_histograms(found), indent=1) + "\n")
    readme = root / "README.md"
    readme.write_text(put(readme.read_text(), "\n\n".join([section, *images])))
