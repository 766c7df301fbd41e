"""The supervisor's side of a fork server: asks for a process, and has it as a child of its own.

Where there is no server, or it does not answer, nothing is lost: the child is started anew.
"""

import os
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from common.processes.fork_server import READY, REQUEST_BYTES_MAX, ForkRequest

# A fork takes some milliseconds. The supervisor does nothing else meanwhile, so it is not patient.
FORK_TIMEOUT_S = 1.0

# Sends a message with descriptors to a child of that name, and gives its answer within seconds.
Ask = Callable[[str, bytes, Sequence[int], float], bytes | None]
_encode = msgspec.json.Encoder().encode


class Running(Protocol):
    """What a supervisor needs of a process."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None:
        """Exit status once it has ended (negative: a signal), else None."""

    def send_signal(self, number: int, /) -> None:
        """Signal it; silent if it has ended."""


class Forked:
    """A child of this process that something else has forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Exit status once it has ended (negative: a signal), else None."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Somebody else reaped it: how it ended is not known.
                self._status = 1
            else:
                self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def send_signal(self, number: int) -> None:
        """Signal it; silent if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """The fork server called `name`, one of the children. `ask`: see `Supervisor.ask`."""

    def __init__(self, name: str, ask: Ask) -> None:
        self.name = name
        self._ask = ask
        self.is_ready = False

    def heard(self, message: bytes) -> None:
        """It said something."""
        self.is_ready = self.is_ready or message == READY

    def ended(self) -> None:
        """It runs no more."""
        self.is_ready = False

    def fork(self, request: ForkRequest, descriptors: Sequence[int]) -> Running | None:
        """A child of this process; None when it must be started in another way."""
        if not self.is_ready:
            return None
        message = _encode(request)
        if len(message) > REQUEST_BYTES_MAX:
            # The server would read a part of it.
            return None
        answer = self._ask(self.name, message, descriptors, FORK_TIMEOUT_S)
        if answer is None or not answer.isdigit():
            # It is killed then, so it forks nothing later either.
            self.is_ready = False
            return None
        return Forked(int(answer)) if int(answer) else None
