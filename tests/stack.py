"""A whole stack for tests: `fleetline up` on free ports, in a home of its own."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from common.metrics.catalogue import ROLES as METRICS_ROLES
from common.processes.supervision.state import read_state, state_file
from deploy.stack.home import Home
from deploy.stack.wiring import OFFSETS
from tests.clients.commands import start as start_command
from tests.wait import wait_until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
# What importing the commands takes alone on two cores.
IMPORT_S = 0.6
# Where the stop is not what is tested: other tests use the machine, too.
LEAVE_TIMEOUT_S = 60.0
ROLES: tuple[str, ...] = (
    *("redis", "postgres", "gateway"),
    *("insight", "places", "hooks", "arrivals", "planner", "consumers", "fanout", "ingest"),
)
# Options of a stack without those who only follow: they are half of the time of its start.
LIVE = ("--roles", "consumers,fanout,ingest")
# What a person's shell may hold and a test must not; of make it is what `make test` was told.
FOREIGN = (
    *("REDIS_URL", "DATABASE_URL", "SHARDS", "FLEETLINE_HOME", "FLEETLINE_PARENT_PID"),
    *("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"),
)


# Beside OFFSETS: the ports of metrics, one a role.
METRICS_OFFSETS = range(OFFSETS["metrics_port"], OFFSETS["metrics_port"] + len(METRICS_ROLES))
# Ports from one stack's to the next one's, and the one among them that no stack listens on.
BLOCK = 32
CLAIM_OFFSET = BLOCK - 1


def free_base() -> int:
    """A port P such that all that `--port P` uses are free, and stay ours.

    Tests run in several processes: the block is claimed by a port that this one keeps bound
    until it ends, so nobody else gets it between this look and the start of the stack.
    """
    for base in range(20_000 + os.getpid() % 5000 // BLOCK * BLOCK, 32_000, BLOCK):
        if not _claim(base + CLAIM_OFFSET):
            continue
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for offset in (*OFFSETS.values(), *METRICS_OFFSETS):
                sock = stack.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", base + offset))
            return base
    raise RuntimeError("no free ports")


def _claim(port: int) -> bool:
    """Keep a port bound for as long as this process lives; false if somebody has it."""
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        # From here on the number alone is held, by the process.
        sock.detach()
        return True


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: without what would lead it elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


def fleetline(
    *arguments: str, timeout_s: float = 60.0, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the completed process with its text."""
    if any(name.startswith("PYTHON") for name in extra or ()):
        # Such a setting is the interpreter's.
        return subprocess.run(
            (sys.executable, "-m", "deploy.cli", *arguments),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment(extra),
            check=False,
        )
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        command = start_command(
            arguments, environment(extra), stdout=out.fileno(), stderr=err.fileno()
        )
        try:
            status = command.wait(timeout_s)
        finally:
            command.kill()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command.args, status, out.read(), err.read())


def within(seconds: float, condition: Callable[[], object], what: str) -> None:
    """Wait for what takes a role so many seconds at most on a machine of its own.

    Where others use the machine it may take as many times longer as an interpreter's start does.
    """
    try:
        wait_until(condition, timeout_s=seconds, what=what)
    except TimeoutError:
        began_s = time.monotonic()
        subprocess.run((sys.executable, "-c", "import deploy.cli"), check=True, env=environment())
        slowness = (time.monotonic() - began_s) / IMPORT_S
        wait_until(condition, timeout_s=seconds * max(0.0, slowness - 1), what=what)


class Stack:
    """`fleetline up`; keeps its home over `stop` and `start`. Use as a context."""

    def __init__(
        self,
        home: Path,
        *options: str,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        become: Callable[[], None] | None = None,
    ) -> None:
        self.home = home
        self.port = port or free_base()
        self.url = f"http://127.0.0.1:{self.port}"
        self.fanout_port = self.port + OFFSETS["fanout_port"]
        # Sent with every request, where it is closed.
        self.token: str | None = None
        self._options = options
        self._extra = extra or {}
        # Run in the child before it starts: a change of user.
        self._become = become
        self._process: subprocess.Popen[bytes] | None = None
        self._output = home.with_name(home.name + ".out")

    @property
    def redis_url(self) -> str:
        """The Redis it was started with, password and all."""
        return Home(self.home).noted()["redis_url"]

    @property
    def database_url(self) -> str:
        """Likewise its database."""
        return Home(self.home).noted()["database_url"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop(timeout_s=LEAVE_TIMEOUT_S)

    def start(self) -> None:
        """Start it and wait for `ready`. Raises `RuntimeError` with all it said."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                (
                    sys.executable, "-m", "deploy.cli", "up",
                    "--home", str(self.home), "--port", str(self.port), *self._options,
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(self._extra),
                preexec_fn=self._become,
            )  # fmt: skip
        process = self._process
        try:
            wait_until(
                lambda: f"ready {self.url}" in self.said() or process.poll() is not None,
                timeout_s=START_TIMEOUT_S,
            )
        except TimeoutError:
            process.kill()
            process.wait()
        if process.poll() is not None:
            process.wait()
            self._process = None
            raise RuntimeError(f"{self.said()}\n{self.logs()}")

    def stop(self, number: int = signal.SIGINT, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Send the signal and wait; the exit status."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL to `fleetline up` alone."""
        self.stop(signal.SIGKILL)

    def said(self) -> str:
        """What it printed."""
        return self._output.read_text(errors="replace")

    def logs(self) -> str:
        """The ends of all log files."""
        return "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}"
            for log in sorted((self.home / "log").glob("*.log"))
        )

    def pid(self, role: str) -> int | None:
        """Pid that the role's pid file names, if that process lives."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.home / "run" / f"{role}.pid").read_text())
            return pid if psutil.pid_exists(pid) else None
        return None

    def states(self) -> dict[str, str]:
        """Role to state, from both supervisors."""
        found: dict[str, str] = {}
        for supervisor in ("up", "consumers"):
            state = read_state(state_file(self.home, supervisor))
            children = state.children if state is not None else []
            found |= {child.role: child.state for child in children}
        return found

    def family(self) -> list[psutil.Process]:
        """`fleetline up` and everything below it, now."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One HTTP request to the front door: status and JSON. Raises `OSError`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            text = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"}
            if self.token is not None:
                headers["Authorization"] = f"Bearer {self.token}"
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw else None
        except http.client.HTTPException as e:
            raise OSError(str(e)) from e
        finally:
            connection.close()


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may come to, as a careless umask makes them."""
    with tempfile.TemporaryDirectory(
        prefix="fleetline-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A home in a folder of its own, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fleetline-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"
