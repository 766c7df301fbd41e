"""Logs that stay small while their writers run: children speak into pipes, one program writes.

A file that a child holds open cannot be put aside without asking the child, and four kinds of
servers would have to be asked in four ways. The program is a process of its own: neither a
supervisor that is busy nor one that was killed stops a child that has something to say. Both ends
of each pipe stay open here, so that a writer that dies is replaced and nothing breaks meanwhile.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from common.processes import log_writer

# Two generations of this for each part: enough for a bad day, and nothing to a disk.
LOG_BYTES_MAX = 20 * 1_048_576
# The writer has only to empty its pipes.
CLOSE_TIMEOUT_S = 2.0
REVIVE_AFTER_S = 0.5
# All that an interpreter may need to start.
_LOADED_BY = ("LD_LIBRARY_PATH",)


class Logs:
    """The pipes of one supervisor's children, and the program at their other end."""

    def __init__(self, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        # Path of a log -> (read end, write end).
        self._pipes: dict[Path, tuple[int, int]] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = 0.0

    @property
    def pid(self) -> int | None:
        """Pid of the writer."""
        return self._process.pid if self._process is not None else None

    def open(self, path: Path) -> int:
        """The descriptor that a child writes to for its lines to stand in `path`."""
        if path not in self._pipes:
            self._pipes[path] = os.pipe2(os.O_CLOEXEC)
            if self._process is None:
                self._start()
            else:
                self._send(path)
        return self._pipes[path][1]

    def revive(self) -> None:
        """Start the writer again if it has died."""
        dead = self._process is not None and self._process.poll() is not None
        # A writer that cannot start must not be tried without pause.
        if dead and time.monotonic() - self._started_at_s >= REVIVE_AFTER_S:
            self._start()

    def close(self) -> None:
        """Let the writer finish; all children have ended."""
        for pipe in self._pipes.values():
            for end in pipe:
                os.close(end)
        self._pipes.clear()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._started_at_s = time.monotonic()
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-I", "-S", log_writer.__file__, str(self._bytes_max)),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _LOADED_BY if name in os.environ},
                # Ctrl-C is not for it, nor is a signal to anybody's group.
                start_new_session=True,
            )
        for path in self._pipes:
            self._send(path)

    def _send(self, path: Path) -> None:
        # The writer may have died; the next one, which `revive` starts, is told of all pipes.
        if self._control is not None:
            with contextlib.suppress(OSError):
                socket.send_fds(self._control, [os.fsencode(path)], [self._pipes[path][0]])


class OwnLog:
    """Where a process writes lines of its own, into a file that stays small."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._file = log_writer.BoundedFile(str(path), bytes_max)

    def write(self, text: str) -> None:
        """Append."""
        self._file.write(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Nothing waits here."""
