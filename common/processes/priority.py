"""How a process lets others go first where cores are short.

It does so in three ways. A lower priority is a smaller share. SCHED_BATCH says that its waking up
interrupts nobody (sched(7)). And it asks for long slices: a process that wakes up takes the core
at once from one whose slice is longer than its own, which otherwise may use up a slice of some
milliseconds first (sched_setattr(2); Linux 6.12, older ones look at none). Without the last two a
follower that works for a few milliseconds ten times a second is in the way of every live position
that comes meanwhile.
"""

import contextlib
import ctypes
import os
import platform
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
# More than anybody's who asks for none (2.8 ms at most), and no longer than a process that is busy
# all the time, and so never wakes up, may well wait for it.
SLICE_NS = 10_000_000
# Numbers of the system call, which old C libraries do not know.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_libc = ctypes.CDLL(None, use_errno=True)


class _SchedAttr(ctypes.Structure):
    """`struct sched_attr` of linux/sched/types.h, in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def step_back(niceness: int) -> None:
    """Let all go first that have the usual priority. To be called before threads are started.

    With `kernel.sched_autogroup_enabled` Linux shares cores out by session first, and a process'
    own niceness counts among those of its session alone (sched(7)): a role that leads one, as
    under a supervisor, has the session step back as well.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        # Not there in some kernels and containers, and then not needed.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if (call := _SCHED_SETATTR.get(platform.machine())) is not None:
        # What it answers is not looked at: a kernel or a container that refuses loses nothing.
        wanted = _SchedAttr(
            ctypes.sizeof(_SchedAttr), os.SCHED_BATCH, 0, os.nice(0), 0, SLICE_NS, 0, 0
        )
        _libc.syscall(call, 0, ctypes.byref(wanted), 0)
