"""What every process says of itself: its CPU time, its memory, its lines in the log."""

import os
import resource
import time
from pathlib import Path

from common import log
from common.metrics.names import process
from common.metrics.snapshot import Snapshot
from common.processes.process import started_at

_PAGE_BYTES = resource.getpagesize()
LEVELS = ("debug", "info", "warning", "error", "critical")
_STATM = Path("/proc/self/statm")
# Asked for once: the kernel counts it in ticks since the boot.
_started: dict[int, float] = {}


def own_numbers(snapshot: Snapshot) -> None:
    """Put them. The main process adds which process it is."""
    pid = os.getpid()
    if pid not in _started:
        _started.clear()
        _started[pid] = started_at(pid)
    snapshot.put(process.STARTED, round(_started[pid], 2))
    snapshot.put(process.CPU, time.process_time())
    snapshot.put(process.RESIDENT, int(_STATM.read_text().split()[1]) * _PAGE_BYTES)
    # Also those that there are none of: Prometheus sees no rise of a series that was not there.
    snapshot.put_each(process.LOG_LINES, {level: log.lines[level] for level in LEVELS})
