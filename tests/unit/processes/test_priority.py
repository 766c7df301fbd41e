"""Who steps back does so beside other sessions too: cores are shared out by session first."""

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
CHILD = """
import os
from pathlib import Path
from common.processes.priority import step_back
step_back(7)
print(os.nice(0), *Path("/proc/self/autogroup").read_text().split()[-1:], sep=",")
"""


def stepped_back(*, leads: bool) -> tuple[str, str]:
    """The niceness of a child and of its session's group, "" where it has none."""
    done = subprocess.run(
        (sys.executable, "-c", CHILD),
        cwd=Path(__file__).parents[3],
        start_new_session=leads,
        capture_output=True,
        text=True,
        check=True,
    )
    own, _, group = done.stdout.strip().partition(",")
    return own, group


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroups")
def test_a_leader_takes_its_session_along_and_nobody_else_does():
    own = AUTOGROUP.read_text()
    assert stepped_back(leads=True) == ("7", "7")
    # The session of a shell, or of these tests, is not ours to change. A process below no session
    # at all has an empty file.
    assert stepped_back(leads=False) == ("7", "".join(own.split()[-1:]))
    assert AUTOGROUP.read_text() == own
