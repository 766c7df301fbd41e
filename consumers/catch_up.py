"""How large a page of pending entries to take, from how often they were delivered. Pure.

Pages are only read while the database answers, so entries that were delivered again and again
were in the hands of a worker that died. The more often, the smaller the page, until the entry
that kills the process stands alone, and its neighbours are stored.
"""

from collections.abc import Sequence

# Deliveries that are normal: the first one, and one after a restart.
NORMAL_DELIVERIES = 3
# An entry that stood alone this often and was never acknowledged has killed the process each time.
ALONE_AFTER = NORMAL_DELIVERIES + 3


def page_size(deliveries: Sequence[int], page_max: int) -> int:
    """Entries to take next, where `deliveries` are those of the oldest pending, in order."""
    if not deliveries:
        return page_max
    over = deliveries[0] - NORMAL_DELIVERIES
    size = page_max if over <= 0 else max(1, page_max // 10 ** min(over, 9))
    if deliveries[0] >= ALONE_AFTER:
        size = 1
    return min(size, page_max)


def is_killer(deliveries: int, retries_max: int) -> bool:
    """Whether an entry that was delivered this often, at last alone, must not be tried again."""
    return deliveries >= ALONE_AFTER + retries_max
