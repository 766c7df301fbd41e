"""What the sender of webhooks says of itself."""

from collections import Counter
from collections.abc import Iterable

from common.metrics.histogram import Histogram
from common.metrics.names import hooks as names
from common.metrics.snapshot import Snapshot

STATES = ("on", "failing", "off")
RESULTS = ("delivered", "waiting", "dead")


class SenderNumbers:
    """Outlives the connections, and so the couriers, of its process."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._times = Histogram(names.DELIVERY_TIME)
        self._webhooks: Counter[str] = Counter()

    def tried(self, result: str, age_s: float | None = None) -> None:
        """One delivery was tried; `age_s` is its event's, where it was taken at the first try."""
        self._attempts[result] += 1
        if age_s is not None:
            self._times.observe(age_s)

    def listed(self, states: Iterable[str]) -> None:
        """The states of all webhooks, as they are now."""
        self._webhooks = Counter(states)

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        snapshot.put_each(names.ATTEMPTS, {name: self._attempts[name] for name in RESULTS})
        snapshot.put_histogram(names.DELIVERY_TIME, self._times)
        snapshot.put_each(names.WEBHOOKS, {name: self._webhooks[name] for name in STATES})
