"""Ingest as a real process for tests: Granian, Falcon, one worker."""

import contextlib
import http.client
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.clients.commands import Command
from tests.clients.commands import start as start_command
from tests.servers import free_port
from tests.wait import wait_until

START_TIMEOUT_S = 20.0
# Nobody listens there: the discard port.
NO_DATABASE = "postgresql://fleetline@127.0.0.1:9/fleetline"


class IngestServer:
    """`fleetline ingest` with settings from `environment`."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._process: Command | None = None

    @property
    def process(self) -> psutil.Process:
        """The main process; its children are the workers."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Nothing of the machine's own environment or .env may leak into the settings.
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        self._process = start_command(
            ["ingest"],
            {
                **kept,
                "INGEST_PORT": str(self.port),
                "METRICS_PORT": str(self.metrics_port),
                "DATABASE_URL": NO_DATABASE,
                "LOG_LEVEL": "error",
                "PYTHONPATH": str(Path(__file__).parents[2]),
                **self._environment,
            },
        )
        wait_until(self._lives, timeout_s=START_TIMEOUT_S, what="ingest")

    def _lives(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"ingest left with {self._process.returncode}")
        # What a client library loads for each question would take the processor from the server.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        with (
            contextlib.closing(connection),
            contextlib.suppress(OSError, http.client.HTTPException),
        ):
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        return False

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(timeout=20)
        finally:
            self._process.kill()


@contextlib.contextmanager
def ingest(**environment: str) -> Iterator[IngestServer]:
    """A server for the block; `environment` are settings."""
    server = IngestServer(**environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
