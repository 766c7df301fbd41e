"""Runs the workers that the share agent asks for. Beside the supervisor, and as free of servers.

Workers and the agent are forked by a process that has loaded their code; one that is needed while
that process is not there is started by itself. The agent is not started before: the others would
give this host shards that nobody runs while it loads.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from common.metrics.role import RoleMetrics
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.forking import ForkServer
from common.processes.supervision.spec import ChildSpec
from consumers.sharing.orders import read_orders

AGENT = "sharing"
FORK_SERVER = "fork-server"
# Makes the spec of a worker of its name and arguments.
WorkerSpec = Callable[[ForkServer, str, Sequence[str]], ChildSpec]
# The agent and the first workers wait so long for the fork server: its imports are theirs, and each
# that loads them by itself makes a slow machine slower.
LOADING_S = 20.0


class ShardRunner:
    """An `Observer` that hears the agent, and hands on everything to the role's numbers."""

    def __init__(self, metrics: RoleMetrics, spec: WorkerSpec) -> None:
        self._metrics = metrics
        # How a worker is started, by a fork server if it can be.
        self._spec = spec
        self._supervisor: ChangingSupervisor | None = None
        self._forks = ForkServer(FORK_SERVER, self._ask)
        # Name -> arguments.
        self._wanted: dict[str, list[str]] = {}
        # Names of the workers that there are, those that are stopping included.
        self._present: set[str] = set()
        self._loading_until_s = 0.0
        # The agent while it has not been started.
        self._agent: ChildSpec | None = None

    def begin(
        self, supervisor: ChangingSupervisor, agent: ChildSpec, fork_server: ChildSpec
    ) -> None:
        """Start what is needed to run workers."""
        self._supervisor = supervisor
        self._agent = replace(agent, fork=self._forks.fork)
        self._loading_until_s = time.monotonic() + LOADING_S
        supervisor.spawn(fork_server)

    def _ask(
        self, name: str, message: bytes, descriptors: Sequence[int], timeout_s: float
    ) -> bytes | None:
        if self._supervisor is None:
            return None
        return self._supervisor.ask(name, message, descriptors, timeout_s)

    def began(self, child: str) -> None:
        """A child was started."""
        if child == FORK_SERVER:
            # It does no work, so there are no numbers of it.
            return
        self._metrics.began(child)

    def heard(self, child: str, message: bytes) -> None:
        """A child said something: the agent what is to run, the others their numbers."""
        if child == AGENT:
            orders = read_orders(message)
            if orders is not None:
                self._wanted = orders
                return
        elif child == FORK_SERVER:
            self._forks.heard(message)
            return
        self._metrics.heard(child, message)

    def ended(self, child: str) -> None:
        """A child was reaped."""
        if child == FORK_SERVER:
            # One that never gets to be ready is waited for once.
            if self._forks.is_ready:
                self._loading_until_s = time.monotonic() + LOADING_S
            self._forks.ended()
            return
        self._metrics.ended(child)

    def retired(self, child: str) -> None:
        """A worker that is not wanted here has ended."""
        self._present.discard(child)
        self._metrics.retired(child)

    def fileno(self) -> int:
        """What to wait for."""
        return self._metrics.fileno()

    def turn(self) -> None:
        """Start and stop what differs from what is wanted."""
        self._metrics.turn()
        supervisor = self._supervisor
        if supervisor is None or supervisor.draining:
            return
        for name in self._present - self._wanted.keys():
            supervisor.stop(name)
        if self._is_loading():
            return
        if self._agent is not None:
            supervisor.add(self._agent)
            self._agent = None
        missing = [name for name in self._wanted if name not in self._present]
        if missing:
            self._present.update(missing)
            supervisor.add(*(self._spec(self._forks, n, self._wanted[n]) for n in missing))

    def _is_loading(self) -> bool:
        return not self._forks.is_ready and time.monotonic() < self._loading_until_s
