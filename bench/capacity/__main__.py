"""`python -m bench.capacity [RESULTS.json] [--write]`: prints the sizes, or puts them into docs."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.capacity.page import page, put
from bench.capacity.sizing import MessageBytes, missing
from bench.load.payload import STAMP_BYTES, one
from bench.load.workload import streets
from bench.processes import Failed
from bench.report.readme import RESULTS_JSON
from bench.report.result import figures_of
from bench.scenarios.fanout import two_events
from common.frame import update_frame
from fanout.sockets.protocol import text_frame

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/scale.md"
SEED, FIXES = 1, 1000
# Its length is that of most names with a port.
HOST = "track.example.org"


def main(
    results: Annotated[
        Path, typer.Argument(help="A result of `make bench`.", exists=True, dir_okay=False)
    ] = ROOT / RESULTS_JSON,
    *,
    write: Annotated[bool, typer.Option(help="Put the table into docs/scale.md.")] = False,
) -> None:
    """What fleets of three sizes need, as Markdown."""
    section = sizes(json.loads(results.read_text()))
    if not write:
        print(section)
        return
    PAGE.write_text(put(PAGE.read_text(), section))
    print(f"written: {PAGE}")


def sizes(found: dict[str, Any]) -> str:
    """The section of docs/scale.md. Raises `Failed` where the run lacks what it needs."""
    figures = figures_of(found)
    if lacking := missing(figures):
        raise Failed(f"the results have no {', '.join(lacking)}: run `make bench` whole")
    return page(found, figures, message_bytes())


def message_bytes() -> MessageBytes:
    """Of the bench's workload: the mean request, and a frame."""
    requests = [one(fix, HOST) for fix in islice(streets(SEED, FIXES), FIXES)]
    size = sum(len(b"".join(pieces)) + STAMP_BYTES for pieces in requests)
    return MessageBytes(
        request=round(size / FIXES), frame=len(text_frame(update_frame(two_events(SEED)[0])))
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except Failed as e:
        print(f"capacity: {e}", file=sys.stderr)
        sys.exit(1)
