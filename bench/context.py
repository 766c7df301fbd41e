"""What a scenario is given: the stack, the sizes of this run, and the ways to load it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from bench import accounting
from bench.load import generator, watcher
from bench.load.workload import streets
from bench.processes import Failed, Talker
from bench.report.result import Figure
from bench.stack import Stack
from deploy.tools.traffic.sender import BODY_FIXES_MAX, Sender

T = TypeVar("T")
# Beyond a plan's own time: connecting, the last answers, sorting.
REPORT_SLACK_S = 30.0


class LostFixes(Failed):
    """Accepted fixes are not in the history, or frames did not arrive: the run fails."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a generator saw, and what its load cost each role."""

    report: generator.Report
    cpu_us: dict[str, float]


@dataclass(slots=True)
class Bench:
    """One run."""

    stack: Stack
    quick: bool
    seed: int
    say: Callable[[str], None]

    def pick(self, full: T, quick: T) -> T:
        """The size for this kind of run."""
        return quick if self.quick else full

    def warm(self, port: int, drivers: int = 10_000) -> int:
        """Send one fix of every driver, as of a fleet that has been there; how many were taken.

        A driver's first fix costs more than those after it: ingest asks Redis for its rate, the
        consumer for its newest time. Short runs with many drivers would measure little else.
        """
        sender = Sender(f"http://127.0.0.1:{port}")
        fixes = islice(streets(self.seed, drivers), drivers)
        try:
            while part := list(islice(fixes, BODY_FIXES_MAX)):
                now = datetime.now(UTC).isoformat()
                sender.send(
                    [{"driver_id": f.driver_id, **f.values(), "recorded_at": now} for f in part]
                )
        finally:
            sender.close()
        return sender.totals.accepted

    def start_generator(self, plan: generator.Plan) -> Talker:
        """A generator that is connected and waits for `go`."""
        return Talker("bench.load.generator", asdict(plan), self.stack.log("generator"))

    def start_watcher(self, plan: watcher.Plan) -> Talker:
        """A watcher whose sockets are open."""
        return Talker("bench.load.watcher", asdict(plan), self.stack.log("watcher"))

    def load(self, plan: generator.Plan, *, drain: bool = False) -> Load:
        """Run a generator. With `drain` the account ends when everything is stored."""
        talker = self.start_generator(plan)
        return self.measure(talker, plan, drain=drain)

    def measure(self, talker: Talker, plan: generator.Plan, *, drain: bool = False) -> Load:
        """Let a generator go that is ready, once or for one of its rounds."""
        before = self.stack.cpu()
        talker.go()
        timeout_s = plan.seconds + REPORT_SLACK_S
        report = generator.Report(**talker.report(timeout_s, rounds=plan.rounds))
        if drain:
            self.stack.drained()
        after = self.stack.cpu()
        units = report.requests if plan.paths else report.fixes_sent
        return Load(report, accounting.per_fix_us(before, after, units))

    def require_stored(self, report: generator.Report, before: int, what: str) -> None:
        """Every accepted fix, and those `before`, is in the history once. Raises `LostFixes`."""
        accepted = before + report.fixes_accepted
        unknown = report.fixes_unknown
        rows = self.stack.rows()
        if not accepted <= rows <= accepted + unknown:
            raise LostFixes(
                f"{what}: accepted {accepted}, of unknown outcome {unknown}, stored {rows}"
            )


def rate_figure(key: str, label: str, load: Load, *, unit: str = "fixes/s") -> Figure:
    """A figure of what a generator saw."""
    report = load.report
    refused = {s: n for s, n in report.statuses.items() if s not in {"200", "202"}}
    notes = [report.saturated] if report.saturated else []
    if refused:
        notes.append(f"answers: {refused}")
    value = report.fixes_per_s if unit == "fixes/s" else report.requests_per_s
    return Figure(
        key, label, value, unit, report.latency_ms, report.histogram, load.cpu_us,
        totals_of(report), notes,
    )  # fmt: skip


def totals_of(report: generator.Report) -> dict[str, Any]:
    """The counts of a report."""
    return {
        "sent": report.fixes_sent,
        "accepted": report.fixes_accepted,
        "rejected": report.fixes_rejected,
        "unknown": report.fixes_unknown,
        "requests": report.requests,
        "seconds": report.seconds,
        "generator_cpu": report.cpu_share,
        "generator_late_ms": report.late_ms_max,
    }
