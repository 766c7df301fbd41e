"""Processes that stand still: nothing of them runs from the return of `freeze` on.

SIGSTOP alone is only a wish. Until the kernel has come to each thread one that somebody's request
has just woken may still answer it, on a busy machine more often than not.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil

from tests.wait import wait_until

# States of a thread that runs no more: stopped, traced, and those of the dead.
STILL = frozenset("TtZX")


def freeze(*pids: int | None) -> None:
    """SIGSTOP to all; returns once they have stopped. None of them may be missing."""
    known = [pid for pid in pids if pid is not None]
    assert len(known) == len(pids)
    for pid in known:
        os.kill(pid, signal.SIGSTOP)
    for pid in known:
        wait_until(partial(_stands, pid), what=f"{pid} to stop")


def thaw(*pids: int | None) -> None:
    """SIGCONT to those that there still are."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(*pids: int | None) -> Iterator[None]:
    """They stand still for the block."""
    try:
        freeze(*pids)
        yield
    finally:
        thaw(*pids)


def family(pid: int | None) -> list[int]:
    """A process and all below it."""
    # Of no number psutil makes this very process.
    assert pid is not None
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _stands(pid: int) -> bool:
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            # The name before the state may hold anything, brackets too.
            if stat.read_text().rpartition(") ")[2][0] not in STILL:
                return False
    return True
