"""The start of `up`: its roles are forked by a process that has loaded them, and then ends.

A role that dies later is started by itself, as it is where there is no such process.
"""

import sys
from collections.abc import Sequence

from common.processes.fork_server import ForkRequest
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.forking import ForkServer, Running
from common.processes.supervision.spec import ChildSpec

PRELOADED = "preloaded"
ARGV = (sys.executable, "-m", "deploy.preloaded")


class RoleForks:
    """An `Observer` that hears that process."""

    def __init__(self) -> None:
        self._supervisor: ChangingSupervisor | None = None
        self._server: ForkServer | None = None

    def begin(self, supervisor: ChangingSupervisor, spec: ChildSpec) -> None:
        """Start the process."""
        self._supervisor = supervisor
        self._server = ForkServer(spec.name, self._ask)
        supervisor.spawn(spec)

    def end(self) -> None:
        """All are started: it is needed no more."""
        if self._supervisor is not None:
            self._supervisor.stop(PRELOADED)

    def is_ready(self) -> bool:
        """Whether it has loaded everything."""
        return self._server is not None and self._server.is_ready

    def fork(self, request: ForkRequest, descriptors: Sequence[int]) -> Running | None:
        """A role; None when it must be started by itself."""
        return self._server.fork(request, descriptors) if self._server is not None else None

    def _ask(
        self, name: str, message: bytes, descriptors: Sequence[int], timeout_s: float
    ) -> bytes | None:
        if self._supervisor is None:
            return None
        answer = self._supervisor.ask(name, message, descriptors, timeout_s)
        if answer is None:
            # It was too slow, and is killed. That is no reason to give up the start.
            self._supervisor.stop(name)
        return answer

    def began(self, child: str) -> None:
        """Not of interest."""

    def heard(self, child: str, message: bytes) -> None:
        """A child said something beside its beats."""
        if child == PRELOADED and self._server is not None:
            self._server.heard(message)

    def ended(self, child: str) -> None:
        """A child was reaped."""
        if child == PRELOADED and self._server is not None:
            self._server.ended()
            # However it ended: what it would have forked is started by itself.
            self.end()

    def retired(self, child: str) -> None:
        """Not of interest."""

    def fileno(self) -> None:
        """Nothing is waited for."""
        return

    def turn(self) -> None:
        """Nothing to do."""
