"""Commands of `fleetline`, forked by a process that has loaded their code.

An interpreter's start and the imports cost half a second each, and tests run hundreds of commands.
What a user's shell would start is tested elsewhere: `up` in tests/system, and what the README says.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from common.processes.process import set_parent_death_signal
from deploy.preloaded import MODULES
from tests.servers.network import enter

REQUEST_BYTES_MAX = 65_536


class Command:
    """A command that runs; as much of `subprocess.Popen` as tests need."""

    def __init__(self, args: Sequence[str], pid: int, status: IO[bytes]) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            # Nothing: whoever was to say it was killed, and the command with it.
            self.returncode = int(self._status.readline() or -signal.SIGKILL)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it; silent if it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Command:
    """Start `fleetline` with arguments; `env` is its whole environment, the folder and the network
    are those of who calls.

    `stdout` and `stderr`: descriptors, by default those of this process. The command ends with it.
    """
    request = {"argv": ["fleetline", *arguments], "env": dict(env), "folder": str(Path.cwd())}
    read_fd, write_fd = os.pipe()
    outputs = [1 if stdout is None else stdout, 2 if stderr is None else stderr]
    with Path("/proc/thread-self/ns/net").open() as network:
        descriptors = [write_fd, *outputs, network.fileno()]
        socket.send_fds(_server(), [json.dumps(request).encode()], descriptors)
    os.close(write_fd)
    status = os.fdopen(read_fd, "rb", buffering=0)
    return Command(["fleetline", *arguments], int(status.readline()), status)


def prepare() -> None:
    """Have the server where this process is now: on a host that is lost it would be lost, too."""
    _server()


@cache
def _server() -> socket.socket:
    """The connection to this process' server, whose end ends that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.clients.commands", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(_end, ours, server)
    return ours


def _end(connection: socket.socket, server: subprocess.Popen[bytes]) -> None:
    connection.close()
    server.wait()


def main() -> None:
    """Fork what is asked for, until the tests' process has ended."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    for module in MODULES:
        with contextlib.suppress(ImportError):
            import_module(module)
    gc.collect()
    gc.freeze()
    # Whoever attends to a command is waited for by nobody.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 4)
        if not message:
            return
        if os.fork() == 0:
            connection.close()
            try:
                _attend(json.loads(message), *descriptors)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(request: dict[str, Any], told: int, stdout: int, stderr: int, network: int) -> None:
    """Fork the command, and tell its pid and, at its end, its status."""
    set_parent_death_signal(signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(told)
        enter(network)
        os.close(network)
        os._exit(_run(request, stdout, stderr))
    for descriptor in (stdout, stderr, network):
        os.close(descriptor)
    os.write(told, b"%d\n" % pid)
    _, how = os.waitpid(pid, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(how))
    os._exit(0)


def _run(request: dict[str, Any], stdout: int, stderr: int) -> int:
    set_parent_death_signal(signal.SIGTERM)
    for number, descriptor in ((1, stdout), (2, stderr)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = request["argv"]
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    time.tzset()
    from deploy.cli import main as fleetline

    status: object = 0
    try:
        fleetline()
    except SystemExit as e:
        status = e.code or 0
    except BaseException:  # the last frame of a process: whatever came is said
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status if isinstance(status, int) else 1


if __name__ == "__main__":
    main()
