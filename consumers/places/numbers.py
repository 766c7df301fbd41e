"""What the role places says of itself."""

import time

from common.metrics.names import places as names
from common.metrics.snapshot import Snapshot
from consumers.places.turns import PlacesTurns


class PlacesNumbers:
    """Outlives the connections, and so the turns, of its process."""

    def __init__(self) -> None:
        self._turns: PlacesTurns | None = None
        # Fixes of turns that are over.
        self._before = 0
        self._turned_s: float | None = None

    def follow(self, turns: PlacesTurns) -> None:
        """From now on these turns are taken."""
        if self._turns is not None:
            self._before += self._turns.fixes
        self._turns = turns

    def turned(self) -> None:
        """A turn is stored."""
        self._turned_s = time.monotonic()

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        now = self._turns.fixes if self._turns is not None else 0
        snapshot.put(names.PLACES_FIXES, self._before + now)
        if self._turned_s is not None:
            snapshot.put(names.PLACES_TURN_AGE, round(time.monotonic() - self._turned_s, 2))
