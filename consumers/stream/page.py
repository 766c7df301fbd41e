"""Pages in fixes, although Redis counts entries, whose packs hold one fix or many. Pure.

What is asked for follows from what the last page held, and what came is cut into batches. Exact
is: a page has at most `ENTRIES_MAX` entries, a batch at most `fixes` fixes and `bytes` bytes, or
one entry alone; a batch ends where a pack ends. Within a factor is the page: one that is asked for
after packs of one, and finds full packs, holds more fixes than wanted by that factor.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consumers.stream.entry import Entry

# Most entries of a page. With full packs that is 4 MB.
ENTRIES_MAX = 1024
# Entries of the first page: with packs as large as they get it is one that is easily held.
ENTRIES_FIRST = 64


class BatchLimits(NamedTuple):
    """Most fixes, and most bytes, that are worked off together."""

    fixes: int
    bytes: int = 8 * 1_048_576


class PageCount:
    """How many entries to ask for: as many as hold `limits`, going by the page before."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._most = min(ENTRIES_MAX, limits.fixes)
        self.entries = min(ENTRIES_FIRST, self._most)

    def came(self, page: Sequence[Entry]) -> None:
        """Learn from a page. The number grows at most to its double."""
        if page:
            size = sum(len(entry.pack or b"") for entry in page) or 1
            fixes = sum(entry.fixes for entry in page) or 1
            share = min(self._limits.fixes / fixes, self._limits.bytes / size)
            wanted = int(share * len(page))
            self.entries = max(1, min(wanted, 2 * self.entries, self._most))


def batches_of(page: Sequence[Entry], limits: BatchLimits) -> Iterator[Sequence[Entry]]:
    """`page` in its order, cut into as few batches as the limits allow."""
    begin = fixes = size = 0
    for place, entry in enumerate(page):
        count, length = entry.fixes, len(entry.pack or b"")
        if place > begin and (fixes + count > limits.fixes or size + length > limits.bytes):
            yield page[begin:place]
            begin, fixes, size = place, 0, 0
        fixes += count
        size += length
    if begin < len(page):
        yield page[begin:]
