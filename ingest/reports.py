"""The workers' numbers reach Granian's main process, which serves `/metrics` beside its own loop.

Granian forks its workers and waits for them in the main thread, so this is a thread of that
process. A worker writes each report as one message into a socket that all workers share; the
process id in a report says whose it is.
"""

import contextlib
import select
import socket
import threading
from typing import Any

from common.metrics.role import TURN_EVERY_S, RoleMetrics
from common.metrics.snapshot import decode_report
from common.processes.heartbeat import REPORT_BYTES_MAX
from common.processes.process import is_alive
from common.settings import Settings


class WorkerNames:
    """Process id → `ingest-<n>`: the lowest number that is free. Pure."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    @property
    def pids(self) -> list[int]:
        """Of those that have a name."""
        return list(self._names)

    def name(self, pid: int) -> tuple[str, bool]:
        """The name of a process, and whether it is new."""
        if pid in self._names:
            return self._names[pid], False
        taken = set(self._names.values())
        number = next(n for n in range(len(taken) + 1) if f"ingest-{n}" not in taken)
        self._names[pid] = f"ingest-{number}"
        return self._names[pid], True

    def forget(self, pid: int) -> str:
        """A process has ended; its name is free again."""
        return self._names.pop(pid)


class WorkerReports:
    """The main process' end: what it hears is in `metrics`. Workers write to `for_workers`, see
    `tell`.
    """

    def __init__(self, settings: Settings) -> None:
        self.metrics = RoleMetrics("ingest", settings)
        self._names = WorkerNames()
        self._ours, self.for_workers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self.for_workers.setblocking(False)

    def start(self) -> None:
        """Serve until the process ends. To be called before a worker is forked."""
        _in_main.append(self)
        # Here first: a line that the thread writes while a worker is forked could lock its log.
        self.turn()
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def turn(self) -> None:
        """Hear what was said, see who has ended, answer who asks. Never waits."""
        with contextlib.suppress(BlockingIOError):
            while message := self._ours.recv(REPORT_BYTES_MAX):
                self._heard(message)
        self._forget_ended()
        self.metrics.turn()

    def close(self) -> None:
        """In a fork: let go of what is the main process' alone."""
        self.metrics.close()
        self._ours.close()

    def _run(self) -> None:
        waited_for: tuple[Any, ...] = (self._ours, self.metrics)
        while True:
            select.select(waited_for, (), (), TURN_EVERY_S)
            self.turn()

    def _heard(self, message: bytes) -> None:
        report = decode_report(message)
        if report is None:
            return
        if report.pid not in self._names.pids:
            # Granian has another worker up within a turn: it takes the name of the one before.
            self._forget_ended()
        name, new = self._names.name(report.pid)
        if new:
            self.metrics.began(name)
        self.metrics.heard(name, message)

    def _forget_ended(self) -> None:
        for pid in self._names.pids:
            if not is_alive(pid):
                self.metrics.ended(self._names.forget(pid))


# Of this process, or of the one that it was forked from.
_in_main: list[WorkerReports] = []


def leave_main() -> None:
    """In a worker: let go of what it inherited."""
    for reports in _in_main:
        reports.close()
    _in_main.clear()


def tell(for_workers: socket.socket, message: bytes) -> None:
    """In a worker: hand a report over. A main process that is busy or gone does not get it."""
    if len(message) <= REPORT_BYTES_MAX:
        with contextlib.suppress(OSError):
            for_workers.send(message)
