"""Which process runs which tests: files that share a running stack stay together.

Starting a stack costs seconds, and one that only waits costs CPU all the time; split over two
processes each of them was there twice. Of all other files each stands for itself.
"""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
ARGUMENTS = re.compile(r"^def test_\w+\((.*?)\)", re.MULTILINE | re.DOTALL)
FIXTURE = re.compile(r"\b(closed_)?stack(?:_session)?\b(?=\s*(?:[:,]|$))", re.MULTILINE)


@cache
def shared_by(file: str) -> str:
    """The shared stack that the tests of a file take, or the file itself."""
    path = ROOT / file
    text = path.read_text()
    if "\ndef stack(" not in text:
        for arguments in ARGUMENTS.findall(text):
            found = FIXTURE.search(arguments)
            if found:
                return f"{Path(file).parts[1]} {found[1] or ''}stack"
    return file


class StackScheduling(LoadFileScheduling):  # type: ignore[misc]
    """As `--dist loadfile`, but for those."""

    def _split_scope(self, nodeid: str) -> str:
        return shared_by(super()._split_scope(nodeid))
