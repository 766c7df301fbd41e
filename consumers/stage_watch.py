"""What a stage says of its pages: how many fixes it is through with, and how old they were then.

Ages are looked at for a few events of a page, each of which stands for its share of them: dating
all would cost more than all other counting together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from common.metrics.histogram import Histogram
from common.metrics.metric import Metric
from consumers.page_trace import PageTrace
from consumers.stream.entry import PlacedEvent

# Events of a page whose age is looked at; evenly spread, since a page is as long as a backlog.
AGES_A_PAGE = 4


class StageWatch:
    """One stage's. `fixes` are those that it is through with."""

    def __init__(self, ages: Metric, trace: PageTrace | None = None) -> None:
        self.fixes = 0
        self.ages = Histogram(ages)
        self._trace = trace

    def read(self) -> None:
        """A page is read."""
        if self._trace is not None:
            self._trace.read()

    def done(self, events: Sequence[PlacedEvent]) -> None:
        """What came of these events is written."""
        self.count(events, datetime.now(UTC))
        if self._trace is not None:
            self._trace.done(events)

    def count(self, events: Sequence[PlacedEvent], now: datetime) -> None:
        """Count the events, and note the ages of some."""
        count = len(events)
        self.fixes += count
        step = -(-count // AGES_A_PAGE) or 1
        for place in range(0, count, step):
            age = (now - events[place].event.received_at).total_seconds()
            self.ages.observe_many(max(0.0, age), min(step, count - place))
