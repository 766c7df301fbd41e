"""What access and limits cost: tokens beside none, and a flooding driver beside ordinary ones.

Two ingest servers stand side by side, one open and one closed, and are loaded in turn, a slice of
time each: what the machine does meanwhile hits both alike. Both hold drivers to their rate.
"""

import contextlib
import secrets
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.context import REPORT_SLACK_S, Bench, Load, totals_of
from bench.load.generator import Plan, Report
from bench.load.workload import driver_of
from bench.processes import Failed, Talker, wait_until
from bench.report.result import Figure
from bench.stack import ROLE_TIMEOUT_S
from common.access.claims import new_claims
from common.access.policy import Role
from common.access.signing import Signing
from common.settings import Settings
from deploy.servers.checks import http_answers

NAME = "access"
TITLE = "Access: 10,000 drivers with tokens beside none; one driver floods beside others"
BOUND_S = 120.0
DRIVERS = 10_000
RATE = 2000.0
CONNECTIONS = 64
# Longer than any run.
TOKEN_TTL_S = 3600.0
# Of the flood: the others' rate, which is also that of the flood.
OTHERS = 1000
FLOODER = "bench-flooder"
# Above the default, so that a slice holds enough accepted fixes to tell 5 % apart.
LIMIT_PER_S = 50.0
# Leases are as large as with the default, and it is spent within a second and a half.
BURST = 2048
FLOOD_WORKERS = 2


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two servers. Its drivers' tokens stand by driver."""

    name: str
    label: str
    port: int
    secret: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)


def run(bench: Bench) -> Iterable[Figure]:
    """Both servers under a paced load, then in closed loops; then the flood on a third."""
    stack = bench.stack
    secret = secrets.token_hex(32)
    tokens = new_tokens(secret, [FLOODER, *map(driver_of, range(DRIVERS))])
    sides = (
        _Side("open", "AUTH=off", stack.settings.ingest_port),
        # The fan-out is not running.
        _Side("closed", "AUTH=on", stack.settings.fanout_port, secret, tokens),
    )
    stack.reset()
    for side in sides:
        _serve(bench, side)
    with contextlib.ExitStack() as held:
        loops = [_talk(bench, held, _plan(bench, side)) for side in sides]
        for talker, plan in loops:
            _warm(bench, talker, plan)
        pace = bench.pick(2.0, 1.0)
        paced = [_talk(bench, held, _plan(bench, side, pace, RATE)) for side in sides]
        for side, loads in zip(sides, _in_turn(bench, paced, bench.pick(4, 1)), strict=True):
            yield _merged(f"access.paced.{side.name}", f"2,000/s, {side.label}", side.name, loads)
        for side, loads in zip(sides, _in_turn(bench, loops, bench.pick(10, 3)), strict=True):
            yield _merged(f"access.loop.{side.name}", f"POST one, {side.label}", side.name, loads)
    stack.reset()
    closed = replace(sides[1], name="ingest")
    _serve(
        bench, closed, RATE_FIXES_PER_S=f"{LIMIT_PER_S}", RATE_BURST=f"{BURST}",
        INGEST_WORKERS=f"{FLOOD_WORKERS}",
    )  # fmt: skip
    yield from _flood(bench, closed)
    stack.stop_roles()


def new_tokens(secret: str, driver_ids: Iterable[str]) -> dict[str, str]:
    """Driver id -> its token, as `fleetline token create` makes them."""
    audience: str = Settings.model_fields["auth_audience"].default
    signing, now = Signing([secret], [], audience), time.time()
    return {
        driver_id: signing.sign(
            new_claims(Role.DRIVER, driver_id, audience, now=now, ttl_s=TOKEN_TTL_S)
        )
        for driver_id in driver_ids
    }


def _serve(bench: Bench, side: _Side, **env: str) -> None:
    stack = bench.stack
    environment = {
        **stack.environment("ingest"),
        "INGEST_PORT": str(side.port),
        "BACKLOG_MAX": "100000000",
        "AUTH": "on" if side.secret else "off",
        "AUTH_SECRET": side.secret,
        **env,
    }
    stack.start_other(side.name, "-m", "deploy.cli", "ingest", **environment)
    wait_until(
        lambda: http_answers("127.0.0.1", side.port, "/health/live"),
        ROLE_TIMEOUT_S,
        f"{side.label}: ingest was not ready",
    )


def _plan(bench: Bench, side: _Side, seconds: float = 0.8, rate: float = 0.0) -> Plan:
    return Plan(
        side.port, CONNECTIONS, seconds, rate=rate, drivers=DRIVERS, seed=bench.seed,
        requests=DRIVERS, tokens=dict(side.tokens), rounds=True,
    )  # fmt: skip


def _talk(bench: Bench, held: contextlib.ExitStack, plan: Plan) -> tuple[Talker, Plan]:
    talker = bench.start_generator(plan)
    held.callback(talker.close)
    return talker, plan


def _warm(bench: Bench, talker: Talker, plan: Plan) -> None:
    """Send until every driver was there once: its token is known then, and its rate."""
    sent = 0
    while sent < DRIVERS:
        report = bench.measure(talker, plan).report
        if set(report.statuses) != {"202"}:
            raise Failed(f"the warm-up was answered {report.statuses}")
        sent += report.requests


def _in_turn(
    bench: Bench, talks: Sequence[tuple[Talker, Plan]], slices: int
) -> Iterator[list[Load]]:
    """Slices of each, taken in turn."""
    rounds = [[bench.measure(*talk) for talk in talks] for _ in range(slices)]
    return (list(loads) for loads in zip(*rounds, strict=True))


def _merged(key: str, label: str, role: str, loads: Sequence[Load]) -> Figure:
    """Medians of slices. `role` is what the server is called in the accounts."""
    costs = {
        name: round(statistics.median(load.cpu_us.get(known, 0.0) for load in loads), 2)
        for name, known in (("ingest", role), ("redis", "redis"))
    }
    reports = [load.report for load in loads]
    return replace(_of_reports(key, label, reports), cpu_us=costs)


def _of_reports(key: str, label: str, reports: Sequence[Report]) -> Figure:
    seen = reports[0].latency_ms
    counts = [totals_of(report) for report in reports]
    totals = {
        name: (max if name.startswith("generator") else sum)(count[name] for count in counts)
        for name in counts[0]
    }
    refused = sum(report.statuses.get("429", 0) for report in reports)
    notes = [f"medians of {len(reports)} slices"]
    notes += dict.fromkeys(report.saturated for report in reports if report.saturated)
    if others := {s for r in reports for s in r.statuses} - {"202", "429"}:
        raise Failed(f"{label}: answers {', '.join(sorted(others))}")
    return Figure(
        key,
        label,
        round(statistics.median(report.fixes_per_s for report in reports), 1),
        "fixes/s",
        {name: statistics.median(r.latency_ms[name] for r in reports) for name in seen},
        [sum(bins) for bins in zip(*(r.histogram for r in reports), strict=True)],
        totals={**totals, "refused_429": refused},
        notes=notes,
    )


def _flood(bench: Bench, side: _Side) -> Iterator[Figure]:
    """Others alone, beside as many ordinary fixes again, beside as many of one driver.

    The second is what the third is judged by: more requests cost more whoever sends them.
    """
    seconds = bench.pick(1.8, 1.0)
    others = replace(_plan(bench, side, seconds, OTHERS), drivers=OTHERS, requests=OTHERS)
    extra = replace(others, seed=bench.seed + 1)
    # What came back to the flooder since its last slice is spent within the warm-up.
    flood = replace(others, driver_id=FLOODER, warmup_share=0.3)
    with contextlib.ExitStack() as held:
        alone = _talk(bench, held, others)
        for first in (
            replace(others, rate=0.0, seconds=0.5),
            replace(flood, rate=0.0, seconds=1.0),
        ):
            talker, plan = _talk(bench, held, first)
            bench.measure(talker, plan)
            talker.close()
        beside = [_talk(bench, held, plan)[0] for plan in (extra, flood)]
        found: dict[str, list[tuple[Load, Report | None]]] = {}
        for _ in range(bench.pick(3, 1)):
            for name, other in (("alone", None), ("extra", beside[0]), ("flood", beside[1])):
                found.setdefault(name, []).append(_beside(bench, alone, other))
    for name, label in (
        ("alone", "1,000/s of others, alone"),
        ("extra", "the same beside 1,000/s ordinary ones"),
        ("flood", "the same beside a flood of 1,000/s"),
    ):
        yield _merged(f"access.{name}", label, side.name, [load for load, _ in found[name]])
    reports = [report for _, report in found["flood"] if report is not None]
    flooder = _of_reports("access.flooder", "the flooding driver, its burst spent", reports)
    totals = {**flooder.totals, "limit_per_s": LIMIT_PER_S}
    rate = round(statistics.mean(report.fixes_per_s for report in reports), 2)
    notes = [*flooder.notes, f"its limit is {LIMIT_PER_S:g}/s"]
    yield replace(flooder, value=rate, totals=totals, notes=notes)


def _beside(
    bench: Bench, talk: tuple[Talker, Plan], other: Talker | None
) -> tuple[Load, Report | None]:
    """A slice of `talk` while `other` sends too; the cost is for each request of both."""
    talker, plan = talk
    if other is None:
        return bench.measure(talker, plan), None
    before = bench.stack.cpu()
    other.go()
    talker.go()
    timeout_s = plan.seconds + REPORT_SLACK_S
    report = Report(**talker.report(timeout_s, rounds=True))
    second = Report(**other.report(timeout_s, rounds=True))
    after = bench.stack.cpu()
    requests = report.requests + second.requests
    cost = {name: round((after[name] - before[name]) / requests * 1e6, 2) for name in after}
    return Load(report, cost), second
