"""POST many: 10, 100 and 1,000 fixes a body, beside bare pipelined XADDs of the same packs.

Once more with a recorded bus line instead of made-up streets: every driver starts somewhere else
on it. Longer numbers and longer ways between fixes; the cost should be the same.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import deploy
from bench import accounting
from bench.context import Bench, rate_figure
from bench.load.fill import add_entries, events
from bench.load.generator import Plan
from bench.report.result import Figure

NAME = "ingest_many"
TITLE = "POST many: 10, 100, 1,000 a body; bare pipelined XADD"
BOUND_S = 120.0
CONNECTIONS = 16
# Requests built beforehand, by fixes a body: about 40,000 fixes each.
REQUESTS = {10: 4000, 100: 400, 1000: 40}
RECORDED = Path(deploy.__file__).parent / "examples" / "liverpool_bus_route14.csv"


def run(bench: Bench) -> Iterable[Figure]:
    """Closed loops without consumers; the stream is emptied in between."""
    stack = bench.stack
    stack.reset()
    yield _bare_xadd(bench)
    for size in REQUESTS:
        yield _posted(bench, size, f"ingest_many.{size}", f"POST many, {size:,} a body")
    label = "POST many, 100 a body, recorded bus line"
    yield _posted(bench, 100, "ingest_many.recorded", label, trace=str(RECORDED))
    stack.stop_roles()


def _posted(bench: Bench, size: int, key: str, label: str, trace: str = "") -> Figure:
    stack = bench.stack
    stack.reset()
    stack.start("ingest", backlog_max=100_000_000)
    bench.warm(stack.settings.ingest_port)
    plan = Plan(
        stack.settings.ingest_port,
        CONNECTIONS,
        bench.pick(6.0, 2.0),
        fixes_a_body=size,
        requests=REQUESTS[size],
        seed=bench.seed,
        trace=trace,
    )
    return rate_figure(key, label, bench.load(plan))


def _bare_xadd(bench: Bench) -> Figure:
    made = events(bench.seed, bench.pick(400_000, 100_000))
    before, begin_s = bench.stack.cpu(), time.monotonic()
    add_entries(bench.stack, made)
    span_s = time.monotonic() - begin_s
    cost = accounting.per_fix_us(before, bench.stack.cpu(), len(made))
    return Figure(
        "ingest_many.xadd", "bare pipelined XADD, bodies of 100", len(made) / span_s, "fixes/s",
        cpu_us=cost,
    )  # fmt: skip
