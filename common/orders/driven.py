"""How far was driven for an order, fix by fix. Pure.

As a trip's distance: haversine; no move below max(10 m, accuracy), which is noise; no jump faster
than 200 km/h; nothing across a gap, where nobody knows the way.
"""

from datetime import datetime

from common.geo.sphere import distance_m

# The rules of trips (`consumers.insight.fold.rules`), where they are explained; a test compares.
DEAD_BAND_M = 10.0
JUMP_KMH = 200.0


class DrivenDistance:
    """Adds up one driver's fixes in order of their time."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        # The last fix, and where the last move ended: degrees.
        self._at: datetime | None = None
        self._previous = self._reference = (0.0, 0.0)
        self.metres = 0.0
        self.fixes = 0

    def add(self, at: datetime, latitude: float, longitude: float, accuracy: float | None) -> None:
        """The next fix: later than all before."""
        here, before = (latitude, longitude), self._at
        previous, self._previous, self._at = self._previous, here, at
        self.fixes += 1
        elapsed_s = 0.0 if before is None else (at - before).total_seconds()
        if before is None or elapsed_s > self._gap_s:
            self._reference = here
            return
        if distance_m(*previous, *here) > elapsed_s * JUMP_KMH / 3.6:
            self._reference = here
            return
        way_m = distance_m(*self._reference, *here)
        if way_m >= max(DEAD_BAND_M, accuracy or 0.0):
            self.metres += way_m
            self._reference = here
