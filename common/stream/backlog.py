"""How many fixes wait in a shard, though Redis only counts entries. Pure.

The hash `counts:{shard}` has two totals: of fixes that were added, counted directly behind each
entry in the same write, and of fixes that were settled (stored or dead-lettered), counted with
the acknowledgement. Their difference is what waits. It is exact but for a Redis that died between
an entry and its count; the shard's consumer makes both equal again once nothing waits.
"""

import re
from collections.abc import Sequence

from common.keys import ShardKeys
from common.stream.pack import EVENTS_MAX

ADDED = "added"
SETTLED = "settled"

# A total as Redis gives it, or None while it was never counted.
Total = bytes | str | int | None
_TOTAL = re.compile("[0-9]{1,18}")


def read_total(total: Total) -> int | None:
    """A total as a number; None where it was never counted, or where something else stands."""
    if total is None or isinstance(total, int):
        return total
    text = total.decode("ascii", "replace") if isinstance(total, bytes) else total
    return int(text) if _TOTAL.fullmatch(text) else None


def totals_question(keys: ShardKeys) -> tuple[str, ...]:
    """What to ask about one shard; its reply is the two totals that `fixes_waiting` takes."""
    return ("HMGET", keys.counts, ADDED, SETTLED)


def fixes_waiting(totals: Sequence[Total], entries: int) -> int:
    """Fixes that are neither stored nor dead-lettered. `entries`: how many wait, or more.

    What waits in no entry does not wait, and no entry has more than a pack of fixes: so totals
    that are wrong do no harm beyond that. Without a total, entries are an older release's, which
    have one fix each: its ingest counts nothing, nor do its consumers.
    """
    added, settled = map(read_total, totals)
    if added is None:
        return entries
    if settled is None:
        return max(entries, min(added, entries * EVENTS_MAX))
    return max(0, min(added - settled, entries * EVENTS_MAX))


def unread_and_pending(fixes: int, unread: int, pending: int) -> tuple[int, int]:
    """`fixes` that wait in `unread` and `pending` entries, as those nobody has read, and the rest.

    Redis does not say how many fixes an entry has, so pending entries count as the average one:
    their sum is exact, each of the two within the fixes of a page.
    """
    entries = unread + pending
    if not entries:
        return fixes, 0
    read = round(fixes * pending / entries)
    return fixes - read, read


def unread_entries(length: int, lag: int | None, pending: int) -> int:
    """Entries that a group was not handed.

    Redis does not know the lag any more once entries were deleted out of order; then all entries
    that are not pending, some of which may only wait to be trimmed.
    """
    return max(0, length - pending) if lag is None else lag
