"""What dead children left running: killed, and reaped once the kernel has ended it.

It may hold a port or write to a shard, so nothing is started in its place before it is gone. A
process that waits for a disk, or that is traced, takes a while to end: it is asked about
again and again, never waited for, or it would stop the loop that keeps everybody else alive. And
not for ever: what was sent SIGKILL does nothing more, even where it cannot end.
"""

import contextlib
import os
import signal
from collections.abc import Iterable

from common.processes import process

# What was killed has this long to be gone; usually it takes a millisecond.
PATIENCE_S = 2.0


class Strays:
    """Processes that became ours when a child of ours died."""

    def __init__(self) -> None:
        # Children that the program had before it supervised any.
        self._foreign: set[int] = set()
        # Pid of a stray that has not ended -> when it was killed first, in monotonic seconds.
        self._killed_at_s: dict[int, float] = {}

    def begin(self) -> None:
        """Become the parent of what our children leave. Who is our child now is no stray."""
        self._foreign = process.children_of(os.getpid())
        process.adopt_orphans()

    def sweep(self, children: Iterable[int | None], now_s: float) -> None:
        """Kill all that are none of `children`, and reap those that have ended."""
        known = {*self._foreign, *children}
        seen: set[int] = set()
        # The dead hand their own children to us, so the kernel is asked until no new pid appears.
        while not (strays := process.children_of(os.getpid()) - known) <= seen:
            seen |= strays
            for pid in strays:
                self._killed_at_s.setdefault(pid, now_s)
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
        self._killed_at_s = {pid: at for pid, at in self._killed_at_s.items() if pid in strays}

    @property
    def left(self) -> bool:
        """Whether some have not ended."""
        return bool(self._killed_at_s)

    def hinder(self, now_s: float) -> bool:
        """Whether to wait for them before something is started or all is over."""
        return any(now_s - at_s < PATIENCE_S for at_s in self._killed_at_s.values())
