"""How large a page of pending entries to take, from how often they were delivered. Pure.

A worker that could not store a page and lives says so (`Reader.forgive`), so entries that were
delivered again and again were in the hands of a worker that died. The more often, the smaller
the page, until the entry that kills the process stands alone, and its neighbours are stored.
"""

# Deliveries that are normal: the first one, and one after a restart.
NORMAL_DELIVERIES = 3
# An entry that stood alone this often and was never acknowledged has killed the process each time.
ALONE_AFTER = NORMAL_DELIVERIES + 3


def page_size(deliveries: int, page_max: int) -> int:
    """Entries to take next, where the oldest pending one was delivered `deliveries` times."""
    if deliveries >= ALONE_AFTER:
        return 1
    over = max(0, deliveries - NORMAL_DELIVERIES)
    return max(1, page_max // int(10**over))


def is_killer(deliveries: int, retries_max: int) -> bool:
    """Whether an entry that was delivered this often, at last alone, must not be tried again."""
    return deliveries >= ALONE_AFTER + retries_max
