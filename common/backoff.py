"""Capped exponential backoff with full jitter, as a pure rule.

Full jitter (uniform between zero and the cap of the attempt) keeps many clients of one dead
server from returning in step:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: `first_s` doubles with each attempt up to `most_s`."""

    first_s: float
    most_s: float

    def ceiling_s(self, attempt: int) -> float:
        """Longest delay before retry number `attempt` (0 is the first)."""
        # 2**30 is past any cap in use; without the bound a long outage overflows the float.
        return min(self.most_s, self.first_s * 2.0 ** min(attempt, 30))

    def delay_s(self, attempt: int, rng: random.Random | None = None) -> float:
        """Jittered delay before retry number `attempt`, never below half of `first_s`."""
        uniform = (rng or random).uniform
        return max(self.first_s / 2, uniform(0, self.ceiling_s(attempt)))
