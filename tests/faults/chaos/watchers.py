"""Customers who watch their orders through the front door for the whole round.

Each notes how long it saw nothing, and whether a frame ever went back in time on one connection.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.clients.ws import ORDER_PATH, Closed, Refused, connect, get
from tests.faults.chaos.fixes import watched_order
from tests.wait import pace

# A socket that shows nothing for this long is left, as a customer would reload the page.
PATIENCE_S = 40.0
RECONNECT_AFTER_S = 0.2
READY_EVERY_S = 0.1
READY_TIMEOUT_S = 3.0
# Shorter ones are how frames come.
GAP_MIN_S = 1.0


@dataclass(slots=True)
class Seen:
    """What one customer saw."""

    frames: int = 0
    connections: int = 0
    # (length, when it began since the watching began) of gaps between frames, in seconds.
    gaps: list[tuple[float, float]] = field(default_factory=list)
    backwards: int = 0
    newest_number: int = 0
    # Longest from the moment at which a fix was taken to the one at which it was shown, beside
    # what a socket begins with.
    lag_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)
    last_at_s: float = 0.0


class Watchers:
    """`count` customers."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self.seen = [Seen() for _ in range(count)]

    async def run(self, stopping: asyncio.Event) -> None:
        """Watch until `stopping`."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._watch(index, seen)) for index, seen in enumerate(self.seen)
            ]
            await stopping.wait()
            for task in tasks:
                task.cancel()
        for seen in self.seen:
            _note_gap(seen, time.monotonic())

    async def _watch(self, index: int, seen: Seen) -> None:
        while True:
            with contextlib.suppress(Refused, Closed, OSError, EOFError):
                await self._connection(index, seen)
            await pace(RECONNECT_AFTER_S)

    async def _connection(self, index: int, seen: Seen) -> None:
        client = await connect(self._port, ORDER_PATH.format(watched_order(index)), timeout_s=3.0)
        seen.connections += 1
        newest: tuple[datetime, datetime] | None = None
        try:
            while True:
                frame = await client.json(timeout_s=PATIENCE_S)
                when = _effective(frame["data"])
                if newest is not None:
                    seen.lag_s = max(seen.lag_s, _lag_s(frame["data"]))
                seen.backwards += newest is not None and when < newest
                newest = when
                _note_gap(seen, time.monotonic())
                seen.frames += 1
                seen.newest_number = int(frame["data"]["accuracy"])
        finally:
            client.abort()


class Readiness:
    """Asks the fan-out all the time whether it delivers; `unready` are the moments of a no."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._began_s = time.monotonic()
        self.asked = 0
        self.unready: list[float] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            asked_s = time.monotonic()
            status = 0
            with contextlib.suppress(OSError, EOFError):
                async with asyncio.timeout(READY_TIMEOUT_S):
                    status, _ = await get(self._port, "/health/ready")
            self.asked += 1
            if status != 200:
                self.unready.append(asked_s - self._began_s)
            await pace(READY_EVERY_S)


def _note_gap(seen: Seen, now_s: float) -> None:
    if seen.last_at_s:
        gap_s = now_s - seen.last_at_s
        if gap_s > GAP_MIN_S:
            seen.gaps.append((gap_s, seen.last_at_s - seen.began_s))
    seen.last_at_s = now_s


def _lag_s(data: dict[str, Any]) -> float:
    received = datetime.fromisoformat(data["received_at"])
    return (datetime.now(UTC) - received).total_seconds()


def _effective(data: dict[str, Any]) -> tuple[datetime, datetime]:
    recorded = datetime.fromisoformat(data["recorded_at"])
    return min(recorded, datetime.fromisoformat(data["received_at"])), recorded
