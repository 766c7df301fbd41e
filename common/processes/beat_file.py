"""A role's sign of life where nobody here supervises it, as in a container: a file that it touches.

Whoever looks at it, in the same environment, sees how old it is (`deploy/container/health.py`).
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Self

HEARTBEAT_FILE_ENV = "FLEETLINE_HEARTBEAT_FILE"


class BeatFile:
    """The file; without one it does nothing. `every_s`: least time between two touches."""

    def __init__(self, path: Path | None, every_s: float) -> None:
        self._path = path
        self._every_s = every_s
        self._next_s = 0.0

    @classmethod
    def from_env(cls, every_s: float) -> Self:
        """The file that the environment names; our own children inherit no name."""
        name = os.environ.pop(HEARTBEAT_FILE_ENV, "")
        return cls(Path(name) if name else None, every_s)

    def touch(self) -> None:
        """Say that work goes on. A file that cannot be touched is old for whoever looks."""
        if self._path is None:
            return
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            with contextlib.suppress(OSError):
                self._path.touch()


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
