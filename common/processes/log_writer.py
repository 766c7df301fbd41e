"""The program that writes what children say into files of bounded size. See `logs`.

Run by its path, without the project and without site-packages: it starts in milliseconds. Pipes
come over the socket that is its standard input, each with the path of its file; it ends when all
of them and the socket have ended, so it outlives the supervisor for as long as a child speaks.
"""

import os
import selectors
import signal
import socket
import sys
from pathlib import Path

CHUNK_BYTES = 65_536
PATH_BYTES_MAX = 4096


class BoundedFile:
    """A file and one older generation of it, `<path>.1`; together about twice `bytes_max`."""

    def __init__(self, path: str, bytes_max: int) -> None:
        self._path = Path(path)
        self._bytes_max = bytes_max
        self._fd: int | None = None
        self._size = 0
        self._at_line_end = True
        # Who looks for the log of a part that has said nothing finds it empty, not missing.
        self.write(b"")

    def write(self, data: bytes) -> None:
        """Append. A full disk costs the lines, never the one who says them."""
        try:
            # Only when more lines come, so that a log that ended still holds its last lines; and
            # at the end of a line, unless that line itself is very long.
            most = self._bytes_max if self._at_line_end else self._bytes_max + CHUNK_BYTES
            if self._fd is not None and self._size >= most:
                self.close()
                self._path.replace(f"{self._path}.1")
            if self._fd is None:
                self._fd = self._open()
            self._append(self._fd, data)
            self._at_line_end = data.endswith(b"\n") if data else self._at_line_end
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(fd).st_size
        return fd

    def _append(self, fd: int, data: bytes) -> None:
        while data:
            written = os.write(fd, data)
            self._size += written
            data = data[written:]


def main(bytes_max: int) -> None:
    """Write until all pipes and the socket have ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ, None)
        while selector.get_map():
            for key, _ in selector.select():
                if key.data is None:
                    path, pipes, _, _ = socket.recv_fds(control, PATH_BYTES_MAX, 1)
                    if not path:
                        selector.unregister(control)
                    for pipe in pipes:
                        file = BoundedFile(os.fsdecode(path), bytes_max)
                        selector.register(pipe, selectors.EVENT_READ, file)
                elif data := os.read(key.fd, CHUNK_BYTES):
                    key.data.write(data)
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    key.data.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
