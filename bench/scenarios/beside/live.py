"""Live latency with the places engine and without it, and with the follower of the history.

2,000 fixes a second and some thousand watched orders all the time; the role that is asked about is
started and stopped in between. Compared is POST → frame, slice by slice.
"""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench import accounting
from bench.context import REPORT_SLACK_S, Bench, LostFixes
from bench.load.generator import Plan, Report
from bench.load.watcher import Plan as WatchPlan
from bench.load.watcher import Report as WatchReport
from bench.load.workload import first_order
from bench.processes import Talker
from bench.report.result import Figure
from bench.scenarios.beside.fences import add_fences
from bench.scenarios.beside.pairs import SIDES, Difference, added, median_of, turns
from bench.scenarios.end_to_end import CONNECTIONS, DRIVERS, RATE
from bench.scenarios.fanout import PATH
from common.settings.insight import INSIGHT_LAG_S

NAME = "beside_live"
TITLE = "Live latency with places and without, with insight and without, in turns"
BOUND_S = 900.0
ROLES = ("places", "insight")
SOCKETS = 4000
# A role is imported, has its locks, and has worked off what came while it was away.
SETTLE_S = 4.0


class _Slice(NamedTuple):
    """Milliseconds from POST to frame, and CPU of all roles for each fix (µs)."""

    p50: float
    p99: float
    cpu_us: dict[str, float]


def run(bench: Bench) -> Iterable[Figure]:
    """One role after the other."""
    for role in ROLES:
        yield from _with_and_without(bench, role)
    bench.stack.stop_roles()


def _with_and_without(bench: Bench, role: str) -> Iterable[Figure]:
    stack = bench.stack
    stack.reset()
    if role == "places":
        add_fences(stack, bench.seed)
    stack.start("consumers", "fanout", "ingest", insight="on")
    bench.warm(stack.settings.ingest_port, DRIVERS)
    pairs, seconds = bench.pick(8, 2), bench.pick(6.0, 3.0)
    plan = Plan(
        stack.settings.ingest_port, CONNECTIONS, seconds, rate=RATE, drivers=DRIVERS,
        # Enough for all slices: who begins again is somewhere else, and fences are a storm.
        seed=bench.seed, requests=int(RATE * seconds * (2 * pairs + 1)), rounds=True,
    )  # fmt: skip
    talker = bench.start_generator(plan)
    try:
        # What happens once only: first fixes, and the first follower waits for its lag.
        stack.start(role)
        _slice(bench, talker, plan)
        if role == "insight":
            time.sleep(INSIGHT_LAG_S)
        is_on = True
        found: dict[bool, list[_Slice]] = {side: [] for side in SIDES}
        for wanted in turns(pairs):
            if wanted and not is_on:
                stack.start(role)
            elif is_on and not wanted:
                stack.stop_roles(role)
            is_on = wanted
            time.sleep(SETTLE_S)
            found[wanted].append(_slice(bench, talker, plan))
            bench.say(f"{role} {'on' if wanted else 'off'}: {found[wanted][-1]}")
    finally:
        talker.close()
    yield from _figures(role, found)


def _slice(bench: Bench, talker: Talker, plan: Plan) -> _Slice:
    stack = bench.stack
    paths = [PATH.format(first_order(number)) for number in range(SOCKETS)]
    watcher = bench.start_watcher(WatchPlan(port=stack.settings.fanout_port, paths=paths))
    try:
        before = stack.cpu()
        watcher.go()
        talker.go()
        sent = Report(**talker.report(plan.seconds + REPORT_SLACK_S, rounds=True))
        stack.drained()
        cost = accounting.per_fix_us(before, stack.cpu(), sent.fixes_sent)
        watcher.go()
        seen = WatchReport(**watcher.report(REPORT_SLACK_S))
    finally:
        watcher.close()
    if not seen.frames or seen.closed:
        raise LostFixes(f"{seen.frames} frames, {seen.closed} sockets closed")
    return _Slice(seen.latency_ms["p50"], seen.latency_ms["p99"], cost)


def _figures(role: str, found: dict[bool, list[_Slice]]) -> Iterable[Figure]:
    for name in ("p50", "p99"):
        pairs = [
            {side: getattr(part, name) for side, part in zip(SIDES, parts, strict=True)}
            for parts in zip(*(found[side] for side in SIDES), strict=True)
        ]
        more = added(pairs)
        without, having = (median_of(pairs, side) for side in SIDES)
        yield Figure(
            f"beside_live.{role}.{name}", f"POST → frame {name}, more with {role}",
            round(more.median, 2), "ms", cpu_us=_cost(found[True]),
            totals={"without_ms": without, "with_ms": having, **more.totals()},
            notes=[_note(len(pairs), more, without, having)],
        )  # fmt: skip


def _note(pairs: int, more: Difference, without: float, having: float) -> str:
    middle = f"{more.low:+.2f} to {more.high:+.2f}"
    return f"{without} ms without, {having} with; {pairs} pairs, the middle half {middle}"


def _cost(slices: Sequence[_Slice]) -> dict[str, float]:
    names = sorted({name for part in slices for name in part.cpu_us})
    return {
        name: round(statistics.median(part.cpu_us.get(name, 0.0) for part in slices), 2)
        for name in names
    }
