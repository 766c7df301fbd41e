"""A supervisor with a fork server to watch from outside: `python -m tests.roles.forked FOLDER`.

`python -m tests.roles.forked server` is its fork server, `... worker NAME` what that forks.
"""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from common.processes.fork_server import serve
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.forking import ForkServer
from common.processes.supervision.spec import ChildSpec

DRAIN_S = 3.0
SILENT_S = 5.0
NAMES = ("worker-a", "worker-b")


def secret_of(name: str) -> str:
    """What a worker alone is told."""
    return f"told-{name}-alone"


class Listener:
    """An observer that tells the fork server what it said, and starts workers once it is ready."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wake = socket.socketpair()
        self._running = False
        self.supervisor = ChangingSupervisor(
            "forked", drain_timeout_s=DRAIN_S, drain_together=True, observer=self
        )
        self.forks = ForkServer("server", self.supervisor.ask)

    def began(self, child: str) -> None:
        """Not of interest."""

    def heard(self, child: str, message: bytes) -> None:
        """The server is ready."""
        if child == "server":
            self.forks.heard(message)

    def ended(self, child: str) -> None:
        """The server is not there."""
        if child == "server":
            self.forks.ended()

    def retired(self, child: str) -> None:
        """Write it down."""
        (self._folder / f"retired-{child}").touch()

    def fileno(self) -> int:
        """Never readable."""
        return self._wake[0].fileno()

    def turn(self) -> None:
        """Start the workers; stop one that is not wanted."""
        if self.forks.is_ready and not self._running:
            self._running = True
            self.supervisor.add(*(self._spec(name) for name in NAMES))
        if (self._folder / "stop-b").exists():
            self.supervisor.stop("worker-b")

    def _spec(self, name: str) -> ChildSpec:
        return ChildSpec(
            name=name,
            argv=(sys.executable, "-m", "tests.roles.forked", "worker", name),
            env={"FORKED_FOLDER": str(self._folder), "SECRET": secret_of(name)},
            # One of them has an environment of its own, and a log.
            inherits_env=name != "worker-b",
            pid_file=self._folder / f"{name}.pid",
            heartbeat_timeout_s=SILENT_S,
            fork=self.forks.fork,
        )

    def run(self) -> int:
        """Until a signal."""
        os.environ["OF_THE_SUPERVISOR"] = "1"
        with self.supervisor as supervisor:
            supervisor.spawn(
                ChildSpec(
                    name="server",
                    argv=(sys.executable, "-m", "tests.roles.forked", "server"),
                    pid_file=self._folder / "server.pid",
                    heartbeat_timeout_s=SILENT_S,
                )
            )
            return supervisor.run()


def work() -> int:
    """Be a worker until SIGTERM: says who forked it, and beats."""
    die_with_parent()
    name = sys.argv[-1]
    heartbeat = Heartbeat.from_env()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    folder = Path(os.environ["FORKED_FOLDER"])
    (folder / f"env-{name}").write_text("\n".join(os.environ))
    # Whole when it is there.
    said = folder / f"said-{name}"
    said.write_text(f"{os.getppid()} {os.getsid(0)} {sys.argv}")
    said.rename(folder / f"{name}-{os.getpid()}")
    while not stopping.wait(0.05):
        heartbeat.beat()
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "server":
        die_with_parent()
        sys.exit(serve(work))
    if sys.argv[1] == "worker":
        sys.exit(work())
    sys.exit(Listener(Path(sys.argv[1])).run())
