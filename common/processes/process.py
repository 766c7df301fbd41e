"""What Linux knows about a process and its parent: death signals, strays, start times.

Nothing of Fleetline outlives what started it. A child asks the kernel for a signal when its
parent dies; a supervisor asks to become the parent of orphans below it, so that it can find them.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from common.errors import FleetlineError

# Process id that a child must find as its parent; set for every child that is started.
PARENT_PID_ENV = "FLEETLINE_PARENT_PID"

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
# The process that die_with_parent was called in.
_bound_pid: int | None = None


class ParentGone(FleetlineError):
    """The parent died before the child could ask for the signal: leave at once."""


def set_parent_death_signal(number: int) -> None:
    """Ask for signal `number` when the parent dies. A later change of uid clears the request."""
    if _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """First statement of a role: never outlive the supervisor that started it.

    A role that a person started by hand has no such parent: it may outlive its shell. Either way
    our own children find our pid to compare with, so they may call this too; a second call in the
    same process does nothing. Raises `ParentGone`.
    """
    global _bound_pid  # noqa: PLW0603 - a fact about the process, and forks must not inherit it
    if _bound_pid == os.getpid():
        return
    expected = os.environ.get(PARENT_PID_ENV)
    if expected is not None:
        set_parent_death_signal(number)
        # Between fork and prctl the parent may have died; then no signal ever comes.
        if os.getppid() != int(expected):
            raise ParentGone(f"parent {expected} is gone")
    os.environ[PARENT_PID_ENV] = str(os.getpid())
    _bound_pid = os.getpid()


def set_name(name: str) -> None:
    """What `ps` and `top` call this process; the kernel keeps 15 bytes of it."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever our children leave behind when they die."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Whether `pid` names a process that is not a zombie."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in {"Z", "X"}


def started_ticks(pid: int) -> int:
    """Start time of `pid` in clock ticks after boot, 0 if gone: tells a reused pid apart."""
    fields = _stat(pid)
    return int(fields[19]) if fields is not None else 0


def started_at(pid: int) -> float:
    """Start time of `pid` in seconds since the epoch, now if it is gone."""
    ticks = started_ticks(pid)
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    age_s = uptime_s - ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0
    return time.time() - age_s


def command_line(pid: int) -> str:
    """Arguments of `pid` with spaces between, empty if it is gone."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def children_of(parent: int) -> set[int]:
    """Pids of all children of `parent`, zombies included."""
    found = set()
    for entry in os.listdir("/proc"):  # noqa: PTH208 - Path objects for every process are waste
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields is not None and int(fields[1]) == parent:
                found.add(int(entry))
    return found


def signal_group(pid: int, number: int) -> None:
    """Signal the process group that `pid` leads; silent if the group is empty."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the state (field 3) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    return text.rpartition(")")[2].split()
