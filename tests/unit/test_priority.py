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
print(os.nice(0), Path("/proc/self/autogroup").read_text().split()[-1])
"""


def niceness(*, leads: bool) -> list[int]:
    """Of a child and of its session's group, once it has stepped back."""
    done = subprocess.run(
        (sys.executable, "-c", CHILD),
        cwd=Path(__file__).parents[2],
        start_new_session=leads,
        capture_output=True,
        text=True,
        check=True,
    )
    return list(map(int, done.stdout.split()))


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroups")
def test_a_leader_takes_its_session_along_and_nobody_else_does():
    own = int(AUTOGROUP.read_text().split()[-1])
    assert niceness(leads=True) == [7, 7]
    # The session of a shell, or of these tests, is not ours to change.
    assert niceness(leads=False) == [7, own]
    assert int(AUTOGROUP.read_text().split()[-1]) == own
