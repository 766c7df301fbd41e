"""Pauses between the follower's transactions, while it is up to date.

What came in one turn, folded in one go, keeps a core and the database busy for half a second; on
a small machine whoever waits for a live position then waits with them. So the follower works in
short stretches and rests after each, as long as that leaves it in time. Behind, it hurries.
"""

import asyncio
import time
from datetime import datetime, timedelta

# Drivers folded in one transaction: 30 ms of work, a third of it the database's. Of fewer each
# costs more: a fifth with a hundred.
DRIVERS_LIVE, DRIVERS_BEHIND = 250, 1000
# Drivers listed at a time: each is a look into the history's index, which nobody may interrupt.
NAMES_LIVE, NAMES_BEHIND = 500, 2000
# Up to date is who has folded all but this.
UP_TO_DATE = timedelta(seconds=60)
# A stretch is followed by this many times its own length, a second at most: a third of one core,
# when a turn folds as much as that.
REST_SHARE = 2.0
REST_MAX_S = 1.0


class Pauses:
    """The rhythm of one turn."""

    def __init__(self) -> None:
        self._live = False
        self._worked_from_s = 0.0

    def begin(self, folded_to: datetime, until: datetime) -> None:
        """A turn begins, with everybody folded up to `folded_to`."""
        self._live = until - folded_to <= UP_TO_DATE
        self._worked_from_s = time.monotonic()

    @property
    def drivers_max(self) -> int:
        """Drivers of one transaction."""
        return DRIVERS_LIVE if self._live else DRIVERS_BEHIND

    @property
    def names_max(self) -> int:
        """Drivers listed at a time."""
        return NAMES_LIVE if self._live else NAMES_BEHIND

    def rest_s(self, worked_s: float) -> float:
        """Seconds to rest after so many seconds of work."""
        return min(REST_MAX_S, worked_s * REST_SHARE) if self._live else 0.0

    async def rest(self) -> None:
        """Called after each transaction."""
        await asyncio.sleep(self.rest_s(time.monotonic() - self._worked_from_s))
        self._worked_from_s = time.monotonic()
