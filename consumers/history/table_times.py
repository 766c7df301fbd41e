"""How the table answers: rows and batches stored, times of transactions, whether it is there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from common.metrics.histogram import Histogram
from common.metrics.names.consumers import STORE_SECONDS


class TableTimes:
    """Of one `HistoryTable`. `up` is None before anything was asked of it."""

    def __init__(self, seconds: Histogram | None = None) -> None:
        self.up: bool | None = None
        self.rows = 0
        # By way: `copy` and `staged`.
        self.batches: Counter[str] = Counter(copy=0, staged=0)
        # Tables of one worker share it.
        self.seconds = seconds or Histogram(STORE_SECONDS)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a transaction, whatever comes of it."""
        begun = perf_counter()
        try:
            yield
        finally:
            self.seconds.observe(perf_counter() - begun)
