"""What the follower of the history says of itself."""

import time

from common.metrics.names import insight as names
from common.metrics.snapshot import Snapshot


class FollowerNumbers:
    """Outlives the connections, and so the followers, of its process."""

    def __init__(self) -> None:
        self._fixes = self._repairs = 0
        self._through_s: dict[int, float] = {}

    def turned(self, database: int, fixes: int, repairs: int, *, through_s: float) -> None:
        """A turn is done in a database, with so many fixes and repairs.

        All that was stored before `through_s` (monotonic) is worked off.
        """
        self._fixes += fixes
        self._repairs += repairs
        self._through_s[database] = through_s

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it. While no turn gets done it falls further and further behind; of several
        databases the one that is farthest behind counts.
        """
        snapshot.put(names.INSIGHT_FIXES, self._fixes)
        snapshot.put(names.INSIGHT_REPAIRS, self._repairs)
        if self._through_s:
            behind_s = time.monotonic() - min(self._through_s.values())
            snapshot.put(names.INSIGHT_LAG, round(behind_s, 1))
