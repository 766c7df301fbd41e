"""Deadlines of bodies that have not begun to come.

A timer for each request would cost as much as all else that reads a body, so waiting bodies stand
in one ordered dict that is looked through twice a second while it is not empty.
"""

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Any, Protocol

Event = dict[str, Any]

# How often late bodies are looked for; what their deadline may overshoot.
SWEEP_EVERY_S = 0.5


class Awaited(Awaitable[Event], Protocol):
    """What Granian's `receive` returns."""

    def cancel(self) -> object:
        """Raise CancelledError where it is awaited."""


class LateBody(Protocol):
    """A body with a deadline: when it began, and whether the deadline has passed."""

    begun_at: float
    late: bool


class BodyDeadlines:
    """Bodies whose first event has not come, oldest first. One for each worker."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.waiting: dict[LateBody, Awaited] = {}
        self._armed = False

    def add(self, body: LateBody, event: Awaited) -> None:
        """Watch `event` until `waiting` does not hold it any more."""
        self.waiting[body] = event
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(SWEEP_EVERY_S, self._sweep)

    def _sweep(self) -> None:
        oldest = monotonic() - self.timeout_s
        late = []
        for body, event in self.waiting.items():
            if body.begun_at > oldest:
                break
            late.append((body, event))
        for body, event in late:
            del self.waiting[body]
            body.late = True
            event.cancel()
        self._armed = bool(self.waiting)
        if self._armed:
            asyncio.get_running_loop().call_later(SWEEP_EVERY_S, self._sweep)
