"""The roles without their metrics: what `bench.scenarios.beside.metrics` compares with.

The product has no switch for it: a question on the hot path would cost what it saves. So the
lines that count are taken out of the modules' text while these are loaded (`edits`). A process has
that done to it by this folder on its PYTHONPATH: Python imports `sitecustomize` from there at each
start, in the children of a role as well.
"""

from collections.abc import Mapping
from pathlib import Path

# Python looks for the last part of its name in the folder.
MODULE = "bench.uncounted.sitecustomize"
PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT.joinpath(*MODULE.split(".")[:-1])


def environment() -> Mapping[str, str]:
    """What a process is told that shall not count."""
    return {"PYTHONPATH": f"{FOLDER}:{PROJECT}"}
