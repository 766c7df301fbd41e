"""The highest rate that the whole path sustains: everything stored, nothing refused, no backlog.

A search by bisection with short probes, then the found rate for its full time. The rate falls a
little where the confirmation does not hold.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench import accounting
from bench.context import REPORT_SLACK_S, Bench, totals_of
from bench.load.generator import REACHED_SHARE, Plan, Report
from bench.processes import Failed
from bench.report.result import Figure

NAME = "sustained"
TITLE = "Sustained: the highest rate with backlog not growing"
BOUND_S = 600.0
SAMPLE_S = 0.1
# Entries under way by design: those that wait up to HISTORY_LINGER_MS for their batch, and a
# batch in the database's hands.
UNDER_WAY_S = 1.0
# Each confirmation that fails lowers the rate by this.
BACK_OFF = 0.85
CONFIRMATIONS_MAX = 6


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, in fixes a second."""

    key: str
    label: str
    fixes_a_body: int
    connections: int
    low: float
    high: float


class LogGrowth:
    """What Redis wrote to its append-only file, which it writes anew and shorter at times."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._size = self._now()
        self.bytes = 0

    def look(self) -> None:
        """To be called often: what was written since the last look is counted if it grew."""
        size = self._now()
        self.bytes += max(0, size - self._size)
        self._size = size

    def _now(self) -> int:
        return int(self._client.info("persistence")["aof_current_size"])


SEARCHES = (
    Search("sustained.one", "sustained, POST one", 1, 128, 2_000, 16_000),
    Search("sustained.many", "sustained, POST many, 100 a body", 100, 32, 10_000, 80_000),
)


@dataclass(slots=True)
class Probe:
    """A rate that was tried."""

    rate: float
    report: Report
    backlog: list[int] = field(default_factory=list)
    cpu_us: dict[str, float] = field(default_factory=dict)
    # What Redis' append-only file grew by for each fix.
    log_bytes: float = 0.0

    def trouble(self) -> str:
        """Why it was not sustained; empty when it was."""
        return trouble(self.rate, self.report, self.backlog)


def trouble(rate: float, report: Report, backlog: list[int]) -> str:
    """Pure: judge a probe by its answers, its rate and the backlog over time."""
    refused = {s: n for s, n in report.statuses.items() if s != "202"}
    if refused:
        return f"answers {refused}"
    if report.fixes_per_s < rate * REACHED_SHARE:
        return f"only {report.fixes_per_s:,.0f} of {rate:,.0f} fixes/s"
    quarter = max(1, len(backlog) // 4)
    if len(backlog) >= 8:
        early = sum(backlog[quarter : 2 * quarter]) / quarter
        late = sum(backlog[-quarter:]) / quarter
        if late > early + rate * 0.25 and late > rate * UNDER_WAY_S:
            return f"backlog grew from {early:,.0f} to {late:,.0f}"
    return ""


def run(bench: Bench) -> Iterable[Figure]:
    """POST one, then POST many; 4 shards."""
    for search in SEARCHES:
        yield _search(bench, search)


def _search(bench: Bench, search: Search) -> Figure:
    stack = bench.stack
    stack.reset()
    stack.start("consumers", "ingest")
    bench.warm(stack.settings.ingest_port)
    stack.drained()
    probe_s, steps = bench.pick(4.0, 2.0), bench.pick(5, 4)
    low, high = search.low, search.high
    for _ in range(steps):
        rate = (low + high) / 2
        probe = _probe(bench, search, rate, probe_s)
        bench.say(f"{search.label}: {rate:,.0f}/s {probe.trouble() or 'holds'}")
        low, high = (low, rate) if probe.trouble() else (rate, high)
    rate = low
    for _ in range(CONFIRMATIONS_MAX):
        probe = _probe(bench, search, rate, bench.pick(60.0, 5.0))
        bench.say(f"{search.label}: {rate:,.0f}/s confirmed: {probe.trouble() or 'yes'}")
        if not probe.trouble():
            break
        rate *= BACK_OFF
    else:
        raise Failed(f"{search.label}: no rate held, the last was {rate:,.0f}: {probe.trouble()}")
    stack.stop_roles()
    report = probe.report
    notes = [f"held for {report.seconds:g} s"]
    if report.saturated:
        notes.append(report.saturated)
    totals = {
        **totals_of(report),
        "backlog_max": max(probe.backlog, default=0),
        "log_bytes_a_fix": round(probe.log_bytes),
    }
    return Figure(
        search.key, search.label, report.fixes_per_s, "fixes/s", report.latency_ms,
        report.histogram, probe.cpu_us, totals, notes,
    )  # fmt: skip


def _probe(bench: Bench, search: Search, rate: float, seconds: float) -> Probe:
    stack = bench.stack
    rows = stack.rows()
    size = search.fixes_a_body
    plan = Plan(
        stack.settings.ingest_port, search.connections, seconds, fixes_a_body=size, rate=rate,
        seed=bench.seed, requests=20_000 if size == 1 else 400,
    )  # fmt: skip
    talker = bench.start_generator(plan)
    before = stack.cpu()
    talker.go()
    backlog = []
    until_s = time.monotonic() + seconds
    with stack.redis() as client:
        log = LogGrowth(client)
        while time.monotonic() < until_s:
            backlog.append(stack.backlog(client))
            log.look()
            time.sleep(SAMPLE_S)
        report = Report(**talker.report(REPORT_SLACK_S))
        stack.drained()
        log.look()
    cost = accounting.per_fix_us(before, stack.cpu(), report.fixes_sent)
    bench.require_stored(report, rows, search.label)
    return Probe(rate, report, backlog, cost, log.bytes / max(report.fixes_sent, 1))
