"""End to end: 2,000 fixes a second from 10,000 drivers whose orders are watched; none is lost.

Latency from when a fix should have left until its frame is in the customer's hands, direct and
through nginx. Sockets are as many as one process may open.
"""

import resource
from collections.abc import Iterable

from bench import accounting
from bench.context import REPORT_SLACK_S, Bench, LostFixes, totals_of
from bench.load.generator import Plan, Report
from bench.load.watcher import Plan as WatchPlan
from bench.load.watcher import Report as WatchReport
from bench.load.workload import first_order
from bench.report.result import Figure
from bench.scenarios.fanout import PATH

NAME = "end_to_end"
TITLE = "End to end: 2,000 fixes/s, 10,000 drivers, 10,000 watched orders"
BOUND_S = 240.0
RATE = 2000.0
DRIVERS = 10_000
CONNECTIONS = 256
# Opening ten thousand sockets takes longer than a quick measurement.
QUICK_SOCKETS = 4000
# Descriptors that are not sockets, in the process that has fewest to spare.
SPARE_FILES = 512
# Of the frames that could come, those that conflation may leave out: a driver sends every 5 s.
SHOWN_SHARE_MIN = 0.99


def run(bench: Bench) -> Iterable[Figure]:
    """Direct, then through nginx."""
    stack = bench.stack
    settings = stack.settings
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for variant, ingest_port, fanout_port in (
        ("direct", settings.ingest_port, settings.fanout_port),
        ("nginx", settings.gateway_port, settings.gateway_port),
    ):
        stack.reset()
        stack.start("consumers", "fanout", "ingest")
        # A proxied socket is two files, and one worker of nginx may happen to get them all.
        fits = (files - SPARE_FILES) // (1 if variant == "direct" else 2)
        sockets = min(bench.pick(DRIVERS, QUICK_SOCKETS), fits)
        bench.say(f"{variant}, {sockets:,} sockets")
        yield from _measure(bench, variant, ingest_port, fanout_port, sockets)
    stack.stop_roles()


def _measure(
    bench: Bench, variant: str, ingest_port: int, fanout_port: int, sockets: int
) -> list[Figure]:
    stack = bench.stack
    paths = [PATH.format(first_order(n)) for n in range(sockets)]
    plan = Plan(
        ingest_port, CONNECTIONS, bench.pick(25.0, 6.0), rate=RATE, drivers=DRIVERS,
        seed=bench.seed, requests=bench.pick(50_000, 12_000),
    )  # fmt: skip
    warmed = bench.warm(ingest_port, DRIVERS)
    watcher = bench.start_watcher(WatchPlan(port=fanout_port, paths=paths))
    generator = bench.start_generator(plan)
    try:
        stack.drained()
        before = stack.cpu()
        watcher.go()
        generator.go()
        sent = Report(**generator.report(plan.seconds + REPORT_SLACK_S))
        stack.drained()
        after = stack.cpu()
        watcher.go()
        seen = WatchReport(**watcher.report(REPORT_SLACK_S))
    finally:
        watcher.close()
        generator.close()
    bench.require_stored(sent, warmed, f"end to end {variant}")
    expected = sent.fixes_first_order if sockets == DRIVERS else 0
    if seen.frames < expected * SHOWN_SHARE_MIN:
        raise LostFixes(f"end to end {variant}: {seen.frames} frames of {expected} fixes shown")
    cost = accounting.per_fix_us(before, after, sent.fixes_sent)
    notes = [note for note in (sent.saturated, seen.saturated) if note]
    if sockets < DRIVERS:
        why = "a quick run" if bench.quick else "as many as files are allowed"
        notes.append(f"{sockets:,} sockets: {why}")
    totals = {
        **totals_of(sent),
        "frames": seen.frames,
        "shown_expected": sent.fixes_first_order,
        "sockets": sockets,
        "stored": stack.rows(),
    }
    where = "direct" if variant == "direct" else "through nginx"
    return [
        Figure(
            f"end_to_end.{variant}.ingest", f"ingest at 2,000/s, {where}", sent.fixes_per_s,
            "fixes/s", sent.latency_ms, sent.histogram, cost, totals, notes,
        ),
        Figure(
            f"end_to_end.{variant}.frame", f"POST → frame at 2,000/s, {where}",
            seen.frames_per_s, "frames/s", seen.latency_ms, seen.histogram, {}, totals, notes,
        ),
    ]  # fmt: skip
