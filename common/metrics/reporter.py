"""A child's own numbers, on their way to its role's main process."""

import os
from collections.abc import Callable

from common.metrics.own import own_numbers
from common.metrics.snapshot import Snapshot, Source, Values, encode_report

# What is shown is at most so old, and what a killed process counted in it is lost.
REPORT_EVERY_S = 1.0


class Reporter:
    """Asks `sources`, and hands to `tell` what they say. `tell` neither waits nor raises."""

    def __init__(self, tell: Callable[[bytes], None], *sources: Source) -> None:
        self._tell = tell
        self._sources = (own_numbers, *sources)

    async def report(self) -> None:
        """A chore: to be done every REPORT_EVERY_S."""
        self.report_now()

    def report_now(self) -> None:
        """Once; also the last thing that a process does."""
        self._tell(encode_report(os.getpid(), values_of(self._sources)))


def values_of(sources: tuple[Source, ...]) -> Values:
    """What all of them say now."""
    snapshot = Snapshot()
    for source in sources:
        source(snapshot)
    return snapshot.values
