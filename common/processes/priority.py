"""How a process lets others go first where cores are short."""

import contextlib
import os
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def step_back(niceness: int) -> None:
    """Give this process a lower priority than all that has the usual one.

    With `kernel.sched_autogroup_enabled` Linux shares cores out by session first, and a process'
    own niceness counts among those of its session alone (sched(7)): a role that leads one, as
    under a supervisor, has the session step back as well.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        # Not there in some kernels and containers, and then not needed.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))
