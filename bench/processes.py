"""Child processes of the bench: started, spoken to by lines of JSON, ended by their pid.

They die with the bench, however it ends.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from common.processes.process import PARENT_PID_ENV, set_parent_death_signal

STOP_TIMEOUT_S = 20.0
# Building a hundred thousand requests takes seconds.
READY_TIMEOUT_S = 60.0


class Failed(Exception):
    """A scenario cannot be measured: something did not start, answer or end."""


def spawn(
    *arguments: str,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    talk: bool = False,
    cpu: set[int] | None = None,
) -> subprocess.Popen[str]:
    """Start Python with `arguments`; `talk` opens its standard input and output."""

    def before_exec() -> None:
        set_parent_death_signal(signal.SIGTERM)
        if cpu:
            os.sched_setaffinity(0, cpu)

    output: IO[bytes] | int = log.open("ab") if log is not None else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            (sys.executable, *arguments),
            stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talk else output,
            stderr=output,
            env={**os.environ, **(env or {}), PARENT_PID_ENV: str(os.getpid())},
            text=True,
            preexec_fn=before_exec,  # noqa: PLW1509 - the bench has one thread when it starts them
        )
    finally:
        if not isinstance(output, int):
            output.close()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Signal and wait; killed when it does not end in time. The exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Talker:
    """A generator or a watcher: takes a plan, says `ready`, is told to go, reports."""

    def __init__(self, module: str, plan: Mapping[str, Any], log: Path) -> None:
        self._name = module
        self._log = log
        self._process = spawn("-m", module, log=log, talk=True)
        self._say(json.dumps(plan))
        try:
            answer = self._hear(READY_TIMEOUT_S)
            if answer != "ready":
                raise Failed(f"{module} did not get ready: {self._last_words()}")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def go(self) -> None:
        """Begin; a second time: finish."""
        self._say("go")

    def report(self, timeout_s: float, *, rounds: bool = False) -> dict[str, Any]:
        """What it saw. Raises `Failed` when nothing comes. With `rounds` it may go again."""
        line = self._hear(timeout_s)
        if not line or not rounds:
            self.close()
        if not line:
            raise Failed(f"{self._name} did not report: {self._last_words()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        stop(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def _say(self, line: str) -> None:
        if self._process.stdin is None:
            raise Failed(f"{self._name} has no input")
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self._name} is gone: {self._last_words()}") from None

    def _hear(self, timeout_s: float) -> str:
        stream = self._process.stdout
        if stream is None or not select.select([stream], [], [], timeout_s)[0]:
            return ""
        return stream.readline().strip()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def wait_until(check: Any, timeout_s: float, what: str, every_s: float = 0.02) -> None:
    """Poll until `check()` holds. Raises `Failed`."""
    until_s = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > until_s:
            raise Failed(f"{what} within {timeout_s:g} s")
        time.sleep(every_s)
