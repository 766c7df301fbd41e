"""What the role places says of itself."""

import time
from collections import Counter

from common.metrics.names import places as names
from common.metrics.snapshot import Snapshot
from consumers.places.rules.left_out import Rule
from consumers.places.turns import PlacesTurns


class PlacesNumbers:
    """Outlives the connections, and so the turns, of its process."""

    def __init__(self) -> None:
        self._turns: PlacesTurns | None = None
        # Fixes of turns that are over.
        self._before = 0
        self._left_out: Counter[Rule] = Counter(dict.fromkeys(Rule, 0))
        self._turned_s: float | None = None

    def follow(self, turns: PlacesTurns) -> None:
        """From now on these turns are taken."""
        if self._turns is not None:
            self._before += self._turns.fixes
            self._left_out.update(self._turns.left_out.counts)
        self._turns = turns

    def turned(self) -> None:
        """A turn is stored."""
        self._turned_s = time.monotonic()

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        now = self._turns.fixes if self._turns is not None else 0
        snapshot.put(names.PLACES_FIXES, self._before + now)
        left_out = self._left_out.copy()
        if self._turns is not None:
            left_out.update(self._turns.left_out.counts)
        snapshot.put_each(names.PLACES_LEFT_OUT, left_out)
        if self._turned_s is not None:
            snapshot.put(names.PLACES_TURN_AGE, round(time.monotonic() - self._turned_s, 2))
