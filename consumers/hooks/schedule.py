"""When a delivery is tried again, and when it is given up. Pure: time is what is left of it."""

import random

from common.backoff import Backoff

# A receiver that restarts is back in seconds. An hour at most between two tries: some fifty in a
# day, and a receiver that is well again waits no longer for what it refused alone.
RETRY = Backoff(first_s=1.0, most_s=3600.0)
# Without one success for this long a webhook is switched off: longer than a weekend.
FAILING_MAX_S = 3 * 86_400.0


def retry_delay_s(
    attempts: int, left_s: float, retry_after_s: float, rng: random.Random | None = None
) -> float | None:
    """Seconds until the next try after `attempts` failed ones; None: it is dead.

    `left_s` is how long it is tried yet. The last try stands at the very end of it.
    """
    if left_s <= 0:
        return None
    wanted_s = max(RETRY.delay_s(attempts - 1, rng), retry_after_s)
    return min(wanted_s, left_s)
