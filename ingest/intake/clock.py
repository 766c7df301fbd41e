"""The time at which fixes arrive: each worker's own, and never the same one twice."""

from datetime import UTC, datetime

from common.event import EPOCH, MICROSECOND


class Clock:
    """The receiving process's time: UTC, microseconds, and never the same one twice.

    Fixes without a time of their own are identified by it.
    """

    def __init__(self) -> None:
        self._last = EPOCH

    def take(self, count: int = 1) -> datetime:
        """The first of `count` consecutive microseconds that nobody else got."""
        first = datetime.now(UTC)
        if first <= self._last:
            first = self._last + MICROSECOND
        # Arithmetic with times costs as much as asking for the time.
        self._last = first if count == 1 else first + (count - 1) * MICROSECOND
        return first
