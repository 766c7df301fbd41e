"""How fast one webhook is sent to. Pure: times are seconds of any clock that only goes forward.

A receiver that answers has a few requests at once, and so many a second. One that fails again and
again is only asked now and then, with one delivery, whatever waits; the first that it takes opens
it again. So a dead receiver costs next to nothing, and one that comes back is not flooded by
everybody's retries at once.
"""

import random

from common.backoff import Backoff

# Requests at once to one webhook: what a hanging one can hold. At 50 ms an answer this is 160 a
# second.
CONCURRENCY = 8
# Requests a second to one webhook in the long run, and at once before that.
RATE_PER_S = 100.0
BURST = 100
# Failures in a row after which one request at a time only asks whether it is back: more than a
# restart behind a load balancer makes.
FAILURES_MAX = 5
PROBE = Backoff(first_s=1.0, most_s=60.0)


class SendingPace:
    """Decides when the next request to one webhook may go."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng
        self._failures = 0
        self._not_before_s = 0.0
        # When the allowance is full again (GCRA's theoretical arrival time).
        self._full_s = 0.0

    @property
    def probing(self) -> bool:
        """Whether it failed so often that it is only asked now and then."""
        return self._failures >= FAILURES_MAX

    def wait_s(self, now_s: float, under_way: int) -> float:
        """Seconds until one more request may go; inf: not before one of those under way ends."""
        if under_way >= (1 if self.probing else CONCURRENCY):
            return float("inf")
        allowed_s = self._full_s - BURST / RATE_PER_S
        return max(0.0, self._not_before_s - now_s, allowed_s - now_s)

    def take(self, now_s: float) -> None:
        """One request goes now."""
        self._full_s = max(self._full_s, now_s - 1 / RATE_PER_S) + 1 / RATE_PER_S

    def note(self, now_s: float, *, taken: bool, retry_after_s: float = 0.0) -> bool:
        """One request ended; whether the receiver is back after it was only probed."""
        if taken:
            was_probing, self._failures = self.probing, 0
            return was_probing
        self._failures += 1
        wait_s = retry_after_s
        if self.probing:
            wait_s = max(wait_s, PROBE.delay_s(self._failures - FAILURES_MAX, self._rng))
        if wait_s:
            self._not_before_s = max(self._not_before_s, now_s + wait_s)
        return False
