"""What the follower of the history says of itself."""

import time

from common.metrics.names import insight as names
from common.metrics.snapshot import Snapshot


class FollowerNumbers:
    """Outlives the connections, and so the followers, of its process."""

    def __init__(self) -> None:
        self._fixes = self._repairs = 0
        self._through_s: float | None = None

    def turned(self, fixes: int, repairs: int, *, through_s: float) -> None:
        """A turn is done, with so many fixes and repairs.

        All that was stored before `through_s` (monotonic) is worked off.
        """
        self._fixes += fixes
        self._repairs += repairs
        self._through_s = through_s

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it. While no turn gets done it falls further and further behind."""
        snapshot.put(names.INSIGHT_FIXES, self._fixes)
        snapshot.put(names.INSIGHT_REPAIRS, self._repairs)
        if self._through_s is not None:
            snapshot.put(names.INSIGHT_LAG, round(time.monotonic() - self._through_s, 1))
