"""A child's sign of life: a byte through a pipe that its supervisor reads.

A role that nobody here supervises, as in a container, touches a file instead, if it is told one.
The child beats where it makes progress, not in a thread of its own: alive means able to work.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Self

HEARTBEAT_FD_ENV = "FLEETLINE_HEARTBEAT_FD"
HEARTBEAT_FILE_ENV = "FLEETLINE_HEARTBEAT_FILE"
# The timeouts are many seconds; one byte a second keeps the pipe and the supervisor quiet.
BEAT_EVERY_S = 1.0


class Heartbeat:
    """Child side. Without a supervisor and a file it does nothing."""

    def __init__(self, fd: int | None, file: Path | None = None) -> None:
        self._fd = fd
        self._file = file
        self._next_s = 0.0

    @classmethod
    def from_env(cls) -> Self:
        """The pipe that the supervisor left, or the file; our own children inherit neither."""
        text = os.environ.pop(HEARTBEAT_FD_ENV, "")
        name = os.environ.pop(HEARTBEAT_FILE_ENV, "")
        if not text.isdigit():
            return cls(None, Path(name) if name else None)
        fd = int(text)
        try:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
        except OSError:
            return cls(None)
        return cls(fd)

    def beat(self) -> None:
        """Say that work goes on. Costs a clock reading; writes at most once a second."""
        if self._fd is None and self._file is None:
            return
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + BEAT_EVERY_S
            # A full pipe: the supervisor is busy. A broken one: it died, and the kernel tells us.
            # A file that cannot be touched is old for whoever looks.
            with contextlib.suppress(OSError):
                if self._fd is not None:
                    os.write(self._fd, b".")
                elif self._file is not None:
                    self._file.touch()


def beat_age_s() -> float | None:
    """Seconds since the role of this container last beat; infinite: never. None: no file is told.

    Asked by another process of the same environment.
    """
    name = os.environ.get(HEARTBEAT_FILE_ENV, "")
    if not name:
        return None
    try:
        return max(0.0, time.time() - Path(name).stat().st_mtime)
    except OSError:
        return float("inf")
