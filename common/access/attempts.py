"""How often something was tried within a minute, for limits. Pure.

Counts are each process' own and bounded; what is forgotten only starts anew.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

# Keys remembered by one process; past it the one that was quiet longest is forgotten.
KEYS_MAX = 20_000
WINDOW_S = 60.0


class AttemptLimiter:
    """At most `per_minute` attempts a key and minute; 0 means no limit."""

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        # Key -> (end of its window, attempts in it).
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, key: str) -> int:
        """Count one attempt; 0, or the seconds to wait when there were too many."""
        if not self._per_minute:
            return 0
        now = self._now()
        ends_at, count = self._windows.get(key, (0.0, 0))
        if ends_at <= now:
            ends_at, count = now + WINDOW_S, 0
        self._windows[key] = (ends_at, count + 1)
        self._windows.move_to_end(key)
        if len(self._windows) > KEYS_MAX:
            self._windows.popitem(last=False)
        return 0 if count < self._per_minute else math.ceil(ends_at - now)
