"""A terminal for tests: one bash that is given commands one after the other."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from common.processes.process import set_parent_death_signal
from tests.wait import wait_until

_END = "__end_of_command__"
STOP_TIMEOUT_S = 20.0


class Terminal:
    """Variables and the folder last from one command to the next. Use as a context."""

    def __init__(self, folder: Path, env: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._seen = 0
        with log.open("wb") as output:
            self._bash = subprocess.Popen(
                ("bash", "--norc", "--noprofile"),
                cwd=folder, env=dict(env), stdin=subprocess.PIPE, stdout=output, stderr=output,
                # Its own group: Ctrl-C reaches what runs in it, as in a terminal.
                start_new_session=True,
                preexec_fn=lambda: set_parent_death_signal(signal.SIGTERM),
            )  # fmt: skip
        # Ctrl-C is for what runs, not for the shell, as where a person types.
        self.run("trap : INT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def type(self, command: str) -> None:
        """Type it and wait for nothing."""
        self._seen = len(self._log.read_text(errors="replace"))
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{command}\necho {_END}$?\n".encode())
        self._bash.stdin.flush()

    def said(self) -> str:
        """What was printed since the last command."""
        return self._log.read_text(errors="replace")[self._seen :]

    def run(self, command: str, *, timeout_s: float = 30.0) -> str:
        """Type it and wait for its end, which must be a good one; what was printed."""
        self.type(command)
        wait_until(lambda: _END in self.said(), timeout_s=timeout_s, what=command)
        printed, _, status = self.said().partition(_END)
        assert status.strip() == "0", f"{command}\n{printed}"
        return printed.strip()

    def interrupt(self) -> str:
        """Ctrl-C, which ends what runs; what it printed."""
        os.killpg(self._bash.pid, signal.SIGINT)
        wait_until(lambda: _END in self.said(), timeout_s=STOP_TIMEOUT_S, what="an end by Ctrl-C")
        return self.said().partition(_END)[0]

    def close(self) -> None:
        """End it with what runs in it."""
        assert self._bash.stdin is not None
        if self._bash.poll() is None:
            os.killpg(self._bash.pid, signal.SIGINT)
        self._bash.stdin.close()
        try:
            self._bash.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait()
            raise
