"""What the planner says of itself."""

from collections import Counter

from common.metrics.histogram import Histogram
from common.metrics.names import planner as names
from common.metrics.snapshot import Snapshot
from consumers.planner.solving.pool import SolverPool

RESULTS = ("made", "invalid", "busy", "failed", "left")


class PlannerNumbers:
    """Counts plans."""

    def __init__(self, pool: SolverPool) -> None:
        self._pool = pool
        self.results: Counter[str] = Counter()
        self._times = Histogram(names.PLAN_TIME)
        self.violations = 0

    def ended(self, result: str, took_s: float | None = None) -> None:
        """A plan came to this; `took_s` where it was made."""
        self.results[result] += 1
        if took_s is not None:
            self._times.observe(took_s)

    def violated(self) -> None:
        """A plan broke what it must keep, and was not sent."""
        self.violations += 1

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        snapshot.put_each(names.PLANS, {name: self.results[name] for name in RESULTS})
        snapshot.put_histogram(names.PLAN_TIME, self._times)
        snapshot.put(names.VIOLATIONS, self.violations)
        snapshot.put(names.SOLVER_DEATHS, self._pool.died)
        snapshot.put(names.WAITING, self._pool.waiting)
