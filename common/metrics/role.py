"""A role's main process hears its children, and shows all numbers of the role at `/metrics`.

It turns with the loop that its process has: a supervisor calls `turn` as its `Observer`, a process
with an event loop runs `run`. A port that cannot be had costs the numbers, never the role: it is
said, and tried again.
"""

import asyncio
import time
from typing import Protocol

from common import __version__, log
from common.access.local_rule import LocalRule
from common.metrics.catalogue import CATALOGUE, PORT_FIRST, metrics_port
from common.metrics.collection import Collection
from common.metrics.door import MetricsDoor
from common.metrics.names import process
from common.metrics.own import own_numbers
from common.metrics.processes import ProcessTable
from common.metrics.reporter import values_of
from common.metrics.request import FAILED, HEAD_BYTES_MAX, answer
from common.metrics.snapshot import Snapshot, Source, decode_report
from common.settings.closed import listens_on_loopback

# Between two tries to listen.
OPEN_EVERY_S = 5.0
# Longest time between two turns where nobody asks for anything.
TURN_EVERY_S = 1.0


class MetricsSettings(Protocol):
    """The settings that are looked at."""

    @property
    def metrics_host(self) -> str: ...
    @property
    def metrics_port(self) -> int: ...


class RoleMetrics:
    """The numbers of `role`. `sources`: what counts in this process itself."""

    def __init__(self, role: str, settings: MetricsSettings, *sources: Source) -> None:
        self._role = role
        self._host = settings.metrics_host
        self._port = settings.metrics_port or metrics_port(role, PORT_FIRST)
        self._sources = (own_numbers, self._put_role, *sources)
        self._collection = Collection(CATALOGUE)
        self._table = ProcessTable()
        self._rule = LocalRule() if listens_on_loopback(self._host) else None
        self._door = MetricsDoor(self._answer, HEAD_BYTES_MAX)
        self._open_at_s = 0.0
        self._log = log.get("metrics")
        self._closed_port = log.Repeated(self._log, "metrics.port_taken", every_s=600.0)

    def began(self, child: str) -> None:
        """A child of this name runs now."""
        self._table.began(child, time.monotonic())

    def heard(self, child: str, message: bytes) -> None:
        """A child reports."""
        report = decode_report(message)
        if report is not None:
            self._table.heard(child, time.monotonic())
            self._collection.report(child, report.values())

    def ended(self, child: str) -> None:
        """A child runs no more; what it counted stays counted."""
        self._table.ended(child)
        self._collection.ended(child)

    def retired(self, child: str) -> None:
        """A child is not wanted here any more."""
        self._table.retired(child)

    def fileno(self) -> int:
        """Readable when somebody asks."""
        return self._door.fileno()

    def turn(self) -> None:
        """Listen, if that could not be done yet, and answer who asks. Never waits."""
        if not self._door.is_open and time.monotonic() >= self._open_at_s:
            self._open()
        self._door.turn()

    async def run(self) -> None:
        """Turn with the event loop until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.fileno(), self._door.turn)
        try:
            while True:
                self.turn()
                await asyncio.sleep(TURN_EVERY_S)
        finally:
            loop.remove_reader(self.fileno())
            self.close()

    def close(self) -> None:
        """Answer nobody any more."""
        self._door.close()

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """All numbers as they are now, and their media type, for a header Accept."""
        # Costs 20 ms and some memory, and most processes are never asked.
        from common.metrics.exposition import Page  # noqa: PLC0415

        self._collection.report(self._role, values_of(self._sources))
        return Page(CATALOGUE, self._collection.merged()).encoded(accept)

    def _open(self) -> None:
        self._open_at_s = time.monotonic() + OPEN_EVERY_S
        try:
            self._door.open(self._host, self._port)
        except OSError as e:
            where = f"{self._host}:{self._port}"
            self._closed_port.failed(address=where, error=e.strerror or str(e))
        else:
            self._closed_port.healed()

    def _answer(self, head: bytes) -> bytes:
        try:
            return answer(head, self.page, self._rule)
        except Exception as e:  # a fault in counting must not end who keeps the role alive
            self._log.error("metrics.failed", exc_info=e)
            return FAILED

    def _put_role(self, snapshot: Snapshot) -> None:
        snapshot.put(process.BUILD, 1, __version__)
        snapshot.put(process.UP, 1, self._role)
        self._table.put(snapshot, time.monotonic())
