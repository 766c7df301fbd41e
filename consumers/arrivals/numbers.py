"""What the role says of itself."""

import time
from collections import Counter

from common.metrics.names import arrivals as names
from common.metrics.snapshot import Snapshot


class ArrivalNumbers:
    """Counts; changes nothing."""

    def __init__(self) -> None:
        self.computed: Counter[str] = Counter()
        self.published = 0
        self.orders = self.away = 0
        self.dropped = 0
        self._looked_s: float | None = None

    def count(self, method: str, *, published: bool) -> None:
        """One arrival was computed."""
        self.computed[method] += 1
        self.published += published

    def looked(self, orders: int, away: int, dropped: int) -> None:
        """A look is done: orders that are known, and of these such whose server is away; rows of
        the log that were dropped so far.
        """
        self.orders, self.away, self.dropped = orders, away, dropped
        self._looked_s = time.monotonic()

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        snapshot.put(names.ARRIVALS_ORDERS, self.orders)
        snapshot.put(names.ARRIVALS_AWAY, self.away)
        snapshot.put_each(names.ARRIVALS_COMPUTED, self.computed)
        snapshot.put(names.ARRIVALS_PUBLISHED, self.published)
        snapshot.put(names.ARRIVALS_UNLOGGED, self.dropped)
        if self._looked_s is not None:
            snapshot.put(names.ARRIVALS_LOOK_AGE, round(time.monotonic() - self._looked_s, 2))
