"""Where a driver is folded again from, after a late fix. Pure.

At a boundary (the fix that ended a stop or a gap) the state is known from that fix and the one
before it. What lies before the last boundary that is not after the late fix is untouched by it.
Sums are by the hour, and an hour must be summed from its beginning: so the fold begins one
boundary earlier, before the hour in which that last boundary lies, and shows nothing of sums
before this hour.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from consumers.insight.fold.results import HOUR_US

# The newest boundary at or before a time, or None.
LastBoundary = Callable[[int], Awaitable[int | None]]


class RestartPoint(NamedTuple):
    """Begin at the fix of `fix_us`, or with the first fix of all (None); sums from `sums_us`."""

    fix_us: int | None
    sums_us: int | None


FROM_THE_FIRST = RestartPoint(None, None)


async def restart(since_us: int, last_boundary: LastBoundary) -> RestartPoint:
    """Where to begin again when fixes at or after `since_us` have changed."""
    affected_us = await last_boundary(since_us)
    if affected_us is None:
        return FROM_THE_FIRST
    hour_us = affected_us - affected_us % HOUR_US
    begin_us = await last_boundary(hour_us - 1)
    return FROM_THE_FIRST if begin_us is None else RestartPoint(begin_us, hour_us)
