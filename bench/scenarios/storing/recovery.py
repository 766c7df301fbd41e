"""Recovery: the database hangs while 2,000 fixes come a second; how soon is all of it stored.

Hangs, not dies: PostgreSQL's processes are stopped and go on later. For a client that is the
worst outage: nothing is refused, nothing answers.
"""

import os
import signal
import time
from collections.abc import Iterable

from bench import accounting
from bench.context import REPORT_SLACK_S, Bench, totals_of
from bench.load.generator import Plan, Report
from bench.processes import Failed
from bench.report.result import Figure

NAME = "recovery"
TITLE = "Recovery: a database outage at 2,000 fixes/s"
BOUND_S = 240.0
RATE = 2000.0
LEAD_S = 2.0
AFTER_S = 120.0
# Entries under way while everything is well.
CAUGHT_UP = int(RATE)


def run(bench: Bench) -> Iterable[Figure]:
    """The load goes on before, during and after."""
    stack = bench.stack
    outage_s = bench.pick(60.0, 5.0)
    stack.reset()
    stack.start("consumers", "ingest")
    plan = Plan(
        stack.settings.ingest_port, 128, LEAD_S + outage_s + bench.pick(20.0, 6.0), rate=RATE,
        seed=bench.seed, warmup_share=0.0,
    )  # fmt: skip
    warmed = bench.warm(plan.port)
    talker = bench.start_generator(plan)
    before = stack.cpu()
    talker.go()
    time.sleep(LEAD_S)
    bench.say(f"the database hangs for {outage_s:g} s")
    processes = hang(stack.roots()["postgres"][0])
    try:
        time.sleep(outage_s)
        with stack.redis() as client:
            waiting = stack.backlog(client)
    finally:
        go_on(processes)
    recovered_s = _recovered(bench)
    report = Report(**talker.report(plan.seconds + REPORT_SLACK_S))
    stack.drained()
    cost = accounting.per_fix_us(before, stack.cpu(), report.fixes_sent)
    bench.require_stored(report, warmed, "recovery")
    stack.stop_roles()
    notes = [] if report.fixes_per_s > RATE * 0.98 else ["ingest did not keep its rate"]
    return [
        Figure(
            "recovery.database", f"all stored after a database outage of {outage_s:g} s",
            round(recovered_s, 2), "s", report.latency_ms, report.histogram, cost,
            {**totals_of(report), "waiting": waiting, "stored": stack.rows()}, notes,
        )
    ]  # fmt: skip


def hang(postmaster: int) -> list[int]:
    """Stop all processes of the server, the first of them first: it would replace the others."""
    processes = sorted(accounting.family(postmaster, accounting.accounts()))
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    return processes


def go_on(processes: list[int]) -> None:
    """Let stopped processes go on."""
    for pid in processes:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def _recovered(bench: Bench) -> float:
    """Seconds until the backlog is what it is when all is well, under the load that goes on."""
    begin_s = time.monotonic()
    with bench.stack.redis() as client:
        while bench.stack.backlog(client) > CAUGHT_UP:
            if time.monotonic() - begin_s > AFTER_S:
                raise Failed(f"not recovered after {AFTER_S:g} s")
            time.sleep(0.05)
    return time.monotonic() - begin_s
