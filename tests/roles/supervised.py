"""A supervisor to watch from outside: `python -m tests.roles.supervised FOLDER KIND`.

It must be a process of its own: a supervisor becomes the parent of orphans, and takes signals.
Children are this program too, told what to be.
"""

import ctypes
import faulthandler
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from common.errors import ConfigError
from common.processes.heartbeat import Heartbeat
from common.processes.supervision.spec import ChildSpec
from common.processes.supervision.state import state_file
from common.processes.supervision.supervisor import Supervisor

DRAIN_S = 1.5
SILENT_S = 2.0
# A child that loads for longer than its silence is borne, and what is borne before its first beat.
LOADS_S, LOADING_S = 3.0, 10.0
# From linux/ptrace.h.
PTRACE_SEIZE = 0x4206


def spec(folder: Path, name: str, kind: str, *, beats: bool = False) -> ChildSpec:
    """A child of `kind` called `name`."""
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", "tests.roles.supervised", str(folder), f"child-{kind}", name),
        log_file=folder / f"{name}.log",
        pid_file=folder / "run" / f"{name}.pid",
        heartbeat_timeout_s=SILENT_S if beats else None,
        first_beat_s=LOADING_S if kind == "loads" else SILENT_S,
        prepare=partial(require_first, folder) if kind == "misled" else None,
    )


def require_first(folder: Path) -> None:
    """What was right at the first start is not any more."""
    if (folder / "up-a").exists():
        raise ConfigError("SOMETHING: is not what it was")


CASES = {
    "plain": (("a", "plain", False), ("b", "plain", False), ("c", "plain", False)),
    "hangs": (("a", "hangs", True),),
    "beats": (("a", "beats", True),),
    "loads": (("a", "loads", True),),
    "reports": (("a", "reports", True),),
    "talks": (("a", "talks", True),),
    "leaves": (("a", "leaves", False),),
    "deaf": (("a", "plain", False), ("b", "deaf", False)),
    "misled": (("a", "misled", False), ("b", "plain", False)),
    "config": (("a", "plain", False), ("b", "config", False)),
}


class Scribe:
    """An observer that writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wake = socket.socketpair()

    def _write(self, line: str) -> None:
        with (self._folder / "told").open("a") as told:
            told.write(f"{line}\n")

    def began(self, child: str) -> None:
        """Write it down."""
        self._write(f"{child} began")

    def heard(self, child: str, message: bytes) -> None:
        """Write it down."""
        self._write(f"{child} {message.decode()}")

    def ended(self, child: str) -> None:
        """Write it down."""
        self._write(f"{child} ended")

    def retired(self, child: str) -> None:
        """Write it down."""
        self._write(f"{child} retired")

    def fileno(self) -> int:
        """Never readable."""
        return self._wake[0].fileno()

    def turn(self) -> None:
        """Nothing waits."""


def supervise(folder: Path, case: str) -> int:
    """Run the case until a signal."""
    (folder / "run").mkdir(exist_ok=True)
    supervisor = Supervisor(
        "up",
        drain_timeout_s=DRAIN_S,
        state_file=state_file(folder, "up"),
        observer=Scribe(folder),
    )
    supervisor.announce = print
    with supervisor:
        supervisor.spawn(*(spec(folder, n, kind, beats=beats) for n, kind, beats in CASES[case]))
        return supervisor.run()


def child(folder: Path, kind: str, name: str) -> None:
    """Be a child of this kind."""
    faulthandler.enable()
    heartbeat = Heartbeat.from_env()

    def stop(_number: int, _frame: object) -> None:
        heartbeat.report(b"last words")
        with (folder / "stops").open("a") as stops:
            stops.write(name)
        print(f"{name} stops", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "deaf" else stop)
    if kind == "config":
        # It is found out when the others run.
        while not (folder / "up-a").exists():
            threading.Event().wait(0.02)
        sys.exit(2)
    if kind == "leaves":
        # In a session of its own, as PostgreSQL's processes are: no group signal reaches it.
        orphan = subprocess.Popen(("sleep", "60"), start_new_session=True)
        (folder / f"orphan-{os.getpid()}").write_text(str(orphan.pid))
    if kind == "loads":
        threading.Event().wait(LOADS_S)
    (folder / f"up-{name}").touch()
    for number in itertools.count():
        if kind in {"beats", "loads", "reports"}:
            heartbeat.beat()
        if kind in {"reports", "talks"}:
            heartbeat.report(b"%d says %d" % (os.getpid(), number))
            (folder / "said").write_text(f"a {os.getpid()} says {number}")
        threading.Event().wait(0.05)


def trace(pid: int) -> None:
    """Keep `pid` from being reaped by its parent once it is dead, until standard input ends."""
    if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, pid, 0, 0) != 0:
        print("refused", flush=True)
        return
    print("traced", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "trace":
        trace(int(sys.argv[2]))
        sys.exit()
    if sys.argv[2].startswith("child-"):
        child(Path(sys.argv[1]), sys.argv[2].removeprefix("child-"), sys.argv[3])
    sys.exit(supervise(Path(sys.argv[1]), sys.argv[2]))
