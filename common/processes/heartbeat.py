"""A child's sign of life: a message of one byte that its supervisor reads.

The child beats where it makes progress, not in a thread of its own: alive means able to work.
Beside its beats it may report; what that says is nobody's business here, and it is no beat.
Messages are whole (SOCK_SEQPACKET): a report comes entire or not at all.
"""

import contextlib
import os
import time
from typing import Self

from common.log import Repeated, get
from common.processes.beat_file import BeatFile

HEARTBEAT_FD_ENV = "FLEETLINE_HEARTBEAT_FD"
# The timeouts are many seconds; one byte a second keeps the pipe and the supervisor quiet.
BEAT_EVERY_S = 1.0
BEAT = b"."
# Longest report. The kernel holds some of them for a supervisor that is busy.
REPORT_BYTES_MAX = 65_536


class Heartbeat:
    """Child side. Without a supervisor it touches a file, if it is told one."""

    def __init__(self, fd: int | None, file: BeatFile | None = None) -> None:
        self._fd = fd
        self._file = file
        self._next_s = 0.0
        self._too_long = Repeated(get("supervision"), "report.too_long")

    @classmethod
    def from_env(cls) -> Self:
        """The pipe that the supervisor left; taken out of the environment of our own children."""
        text = os.environ.pop(HEARTBEAT_FD_ENV, "")
        file = BeatFile.from_env(BEAT_EVERY_S)
        if not text.isdigit():
            return cls(None, file)
        fd = int(text)
        try:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
        except OSError:
            return cls(None)
        return cls(fd)

    def beat(self) -> None:
        """Say that work goes on. Costs a clock reading; writes at most once a second."""
        if self._fd is None:
            if self._file is not None:
                self._file.touch()
            return
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + BEAT_EVERY_S
            self._write(BEAT)

    def report(self, message: bytes) -> None:
        """Say something to the supervisor. A message longer than REPORT_BYTES_MAX is a bug: it is
        logged, and not sent.
        """
        if len(message) > REPORT_BYTES_MAX:
            self._too_long.failed(bytes=len(message), most=REPORT_BYTES_MAX)
        elif len(message) > 1:
            self._write(message)

    def _write(self, message: bytes) -> None:
        # A full pipe: the supervisor is busy. A broken one: it died, and the kernel tells us.
        if self._fd is not None:
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionError):
                os.write(self._fd, message)
