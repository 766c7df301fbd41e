"""Catch up: a million fixes wait when the database is back; how soon are they stored, and what do
customers notice meanwhile.

The database's processes are stopped while the fixes come in bodies of 100, and go on while 2,000
a second come one by one. The same load with nothing to catch up is measured beside it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from bench import accounting
from bench.context import REPORT_SLACK_S, Bench, totals_of
from bench.load.generator import Plan, Report
from bench.load.watcher import Plan as WatchPlan
from bench.load.watcher import Report as WatchReport
from bench.load.workload import first_order
from bench.processes import Failed, wait_until
from bench.report.result import Figure
from bench.scenarios.fanout import PATH
from bench.scenarios.storing.recovery import go_on, hang
from common.keys import shard_keys

NAME = "catch_up"
TITLE = "Catch up: 1,000,000 fixes wait after an outage, and the live latency meanwhile"
BOUND_S = 420.0
RATE = 2000.0
# Slow enough that the live stage keeps up and nothing but the history waits.
FILL_RATE = 16_000.0
BODY_FIXES = 100
SOCKETS = 2000
CALM_S = 10.0
CAUGHT_UP = int(RATE)
AFTER_S = 180.0


def run(bench: Bench) -> Iterable[Figure]:
    """Calm first, then the outage, then the way back."""
    stack = bench.stack
    waiting_wanted = bench.pick(1_000_000, 60_000)
    stack.reset()
    stack.start("consumers", "fanout", "ingest")
    taken = bench.warm(stack.settings.ingest_port)
    stack.drained()
    calm_s = bench.pick(CALM_S, 4.0)
    calm, seen_calm = _under_load(bench, calm_s, lambda: time.sleep(calm_s))
    taken += calm.fixes_accepted
    bench.say(f"the database hangs while {waiting_wanted:,} fixes come")
    processes = hang(stack.roots()["postgres"][0])
    try:
        filled = _fill(bench, waiting_wanted)
        taken += filled.fixes_accepted
        with stack.redis() as client:
            waiting = stack.backlog(client)
    except BaseException:
        go_on(processes)
        raise
    before = stack.cpu()
    took: list[float] = []

    def recover() -> None:
        begin_s = time.monotonic()
        go_on(processes)
        with stack.redis() as client:
            wait_until(lambda: stack.backlog(client) <= CAUGHT_UP, AFTER_S, "not caught up")
        took.append(time.monotonic() - begin_s)

    load_s = bench.pick(40.0, 8.0)
    load, seen = _under_load(bench, load_s, recover)
    taken += load.fixes_accepted
    stack.drained()
    cost = accounting.per_fix_us(before, stack.cpu(), waiting + load.fixes_sent)
    rows = stack.rows()
    unknown = sum(report.fixes_unknown for report in (calm, filled, load))
    if not taken <= rows <= taken + unknown:
        raise Failed(f"accepted {taken}, of unknown outcome {unknown}, stored {rows}")
    stack.stop_roles()
    notes = [] if took[0] <= load_s else ["the load ended before all was stored"]
    yield Figure(
        "catch_up.seconds", f"{waiting:,} waiting fixes stored, beside 2,000/s", round(took[0], 2),
        "s", load.latency_ms, load.histogram, cost,
        {**totals_of(load), "waiting": waiting, "stored": rows,
         "stored_per_s": round((waiting + RATE * took[0]) / took[0])}, notes,
    )  # fmt: skip
    for key, label, report in (
        ("calm", "POST → frame at 2,000/s, nothing waits", seen_calm),
        ("live", "POST → frame at 2,000/s, while catching up", seen),
    ):
        yield Figure(
            f"catch_up.{key}", label, report.frames_per_s, "frames/s", report.latency_ms,
            report.histogram, {}, {"frames": report.frames, "sockets": SOCKETS},
        )  # fmt: skip


def _fill(bench: Bench, fixes: int) -> Report:
    """Send until so many wait; then wait until all of them are on the map."""
    stack = bench.stack
    plan = Plan(
        stack.settings.ingest_port, 16, fixes / FILL_RATE, fixes_a_body=BODY_FIXES,
        rate=FILL_RATE, seed=bench.seed + 1, requests=400,
    )  # fmt: skip
    filled = bench.load(plan).report

    def shown() -> bool:
        with stack.redis() as client:
            stem, shards = stack.settings.stream_name, stack.shards
            return all(_is_live(client, stem, shard, shards) for shard in range(shards))

    wait_until(shown, AFTER_S, "the live stage did not keep up")
    return filled


def _is_live(client: Any, stem: str, shard: int, shards: int) -> bool:
    """Whether the live stage has read a shard's stream to its end."""
    keys = shard_keys(stem, shard, shards)
    last = client.xinfo_stream(keys.stream)["last-generated-id"]
    return bool(client.hget(keys.cursor, "id") == last)


def _under_load(
    bench: Bench, seconds: float, during: Callable[[], object]
) -> tuple[Report, WatchReport]:
    """2,000 fixes a second one by one, and customers who watch while `during` lasts."""
    stack = bench.stack
    settings = stack.settings
    paths = [PATH.format(first_order(n)) for n in range(bench.pick(SOCKETS, 500))]
    plan = Plan(
        settings.ingest_port, 128, seconds, rate=RATE, seed=bench.seed, warmup_share=0.0,
        requests=20_000,
    )  # fmt: skip
    watcher = bench.start_watcher(WatchPlan(port=settings.fanout_port, paths=paths))
    generator = bench.start_generator(plan)
    try:
        watcher.go()
        generator.go()
        during()
        watcher.go()
        seen = WatchReport(**watcher.report(REPORT_SLACK_S))
        sent = Report(**generator.report(plan.seconds + REPORT_SLACK_S))
    finally:
        watcher.close()
        generator.close()
    return sent, seen
