"""Puts a result into the README, between two marks, with two plots, and the report into docs."""

import shutil
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
# Tracked, unlike bench/results/.
PLOTS = Path("docs/bench")
SHOWN = ("rates", "cpu")
# The whole report, beside them.
RESULTS = PLOTS / "results.md"


def put(text: str, section: str) -> str:
    """`text` with `section` between the marks; at its end if it has none. Pure."""
    block = f"{BEGIN}\n{section.strip()}\n{END}"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + block + after
    return text.rstrip("\n") + f"\n\n## Benchmarks\n\n{block}\n"


def update(root: Path, section: str, report: str, plots: Sequence[Path]) -> None:
    """Write README.md and the report, and copy the plots."""
    folder = root / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for plot in plots:
        name = plot.stem.rpartition("-")[2]
        if name in SHOWN:
            shutil.copyfile(plot, folder / f"{name}.png")
            images.append(f"![{name}]({PLOTS}/{name}.png)")
    (root / RESULTS).write_text(f"# Results of `make bench`\n\n{report}")
    readme = root / "README.md"
    readme.write_text(put(readme.read_text(), "\n\n".join([section, *images])))
