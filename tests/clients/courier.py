"""A driver for tests: goes its way in a thread and says where it is, as a phone does."""

import math
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from tests.stack import Stack

EVERY_S = 0.4
# About 36 km/h.
STEP_DEGREES = 0.00004


class Courier:
    """Posts a fix now and then until it is left. Use as a context."""

    def __init__(self, stack: Stack, order_id: str, *, heading: float | None = 60.0) -> None:
        self.driver_id = f"courier-{order_id}"
        self.order_id = order_id
        self.sent = 0
        self._stack = stack
        self._heading = heading
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def fix(self) -> dict[str, object]:
        """Where it is now: a wide bend through the city."""
        turn = self.sent / 40
        return {
            "latitude": 53.4045 + STEP_DEGREES * self.sent * 0.6 + 0.0008 * math.sin(turn),
            "longitude": -2.9916 + STEP_DEGREES * self.sent,
            "heading": None if self._heading is None else self._heading + 25 * math.cos(turn),
            "speed": 34.0,
            "accuracy": 18.0,
            "order_id": self.order_id,
            "recorded_at": datetime.now(UTC).isoformat(),
        }

    def _go(self) -> None:
        path = f"/api/v1/drivers/{self.driver_id}/location"
        while not self._stop.wait(EVERY_S):
            # An outage is part of some tests; the next fix tells.
            try:
                status, _ = self._stack.request("POST", path, self.fix())
            except OSError:
                continue
            self.sent += status == 202
