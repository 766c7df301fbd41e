"""What metrics cost: roles as they are beside the same roles without the lines that count.

Both sides run at the same time, under the same load; compared is CPU, of the role alone. Each side
has either port, or shard, as often. What a scrape costs stands for itself.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.request import urlopen

from bench import accounting, uncounted
from bench.context import REPORT_SLACK_S, Bench, LostFixes
from bench.load.generator import Plan
from bench.load.generator import Report as SentReport
from bench.load.watcher import Plan as WatchPlan
from bench.load.watcher import Report as WatchReport
from bench.load.workload import first_order, streets
from bench.processes import Failed, Talker, wait_until
from bench.report.result import Figure
from bench.scenarios.beside.duel import ALIKE, NAMES, dated, drains
from bench.scenarios.beside.pairs import SIDES, Pair, median_of, ratio
from bench.scenarios.fanout import PATH, two_events
from bench.stack import ROLE_TIMEOUT_S
from common.frame import update_frame
from common.keys import order_key, shard_keys
from deploy.servers.checks import http_answers
from fanout.sockets.protocol import text_frame

NAME = "metrics"
TITLE = "Metrics: CPU of ingest, consumers and fan-out with them and without, side by side"
BOUND_S = 900.0
SOCKETS = 500
DRIVERS = 10_000
SCRAPES = 100
UNIT = "% more CPU"
# Name to its label, and the role whose CPU is compared.
MEASURED = {
    "one": ("POST one", "ingest"),
    "many": ("POST many, 100 a body", "ingest"),
    "drain": ("drain", "consumers"),
    "frames": ("frames", "fanout"),
}
ENVS = {False: uncounted.environment(), True: {}}


@dataclass(frozen=True, slots=True)
class _Server:
    """One of two that stand side by side."""

    pid: int
    port: int
    metrics_port: int


Servers = Mapping[bool, _Server]


def run(bench: Bench) -> Iterable[Figure]:
    """Ingest, then drain, then the fan-out."""
    scrapes: list[Figure] = []
    for name, work in (("one", _one), ("many", _many), ("frames", _frames)):
        yield _figure(bench, name, list(_generations(bench, name, work, scrapes)))
    yield _figure(bench, "drain", list(_drain(bench)))
    yield from scrapes
    bench.stack.stop_roles()


def _figure(bench: Bench, name: str, pairs: Sequence[Pair]) -> Figure:
    label, role = MEASURED[name]
    times = ratio(pairs)
    low, high = (round((value - 1) * 100, 2) for value in (times.low, times.high))
    without, having = (median_of(pairs, side) for side in SIDES)
    note = f"{len(pairs)} pairs, the middle half {low:+.2f} to {high:+.2f} %"
    bench.say(f"{label}: {without} µs without, {having} with; {note}")
    return Figure(
        f"metrics.{name}", f"metrics of {role}, {label}", round((times.median - 1) * 100, 2), UNIT,
        cpu_us={role: having}, totals={"without": without, **times.totals()}, notes=[note],
    )  # fmt: skip


def _drain(bench: Bench) -> Iterator[Pair]:
    fixes = list(islice(streets(bench.seed, DRIVERS), bench.pick(120_000, 60_000)))
    return drains(bench, ENVS, lambda: dated(fixes))


# Works on two servers, and gives pairs.
Work = Callable[[Bench, Servers], Iterator[Pair]]


def _generations(bench: Bench, name: str, work: Work, scrapes: list[Figure]) -> Iterator[Pair]:
    """Both are started several times: where a process happens to lie in memory costs as well."""
    role = MEASURED[name][1]
    for generation in range(bench.pick(4, 2)):
        bench.stack.reset()
        servers = _start(bench, role, swapped=bool(generation % 2))
        yield from work(bench, servers)
        if not generation and name != "many":
            scrapes.append(_scrape(servers[True], role))
        bench.stack.stop_roles()


def _start(bench: Bench, role: str, *, swapped: bool) -> Servers:
    """Ports of roles that are not running are taken."""
    stack, settings, servers = bench.stack, bench.stack.settings, {}
    ports = (settings.fanout_port, settings.ingest_port)
    check = "/health/live" if role == "ingest" else "/health/ready"
    for side in SIDES:
        place = int(side is not swapped)
        environment = {
            **stack.environment(role),
            **ALIKE,
            f"{role.upper()}_PORT": str(ports[place]),
            "METRICS_PORT": str(settings.metrics_port + place),
            "BACKLOG_MAX": "100000000",
            **ENVS[side],
        }
        process = stack.start_other(NAMES[side], "-m", "deploy.cli", role, **environment)
        wait_until(
            lambda port=ports[place]: http_answers("127.0.0.1", port, check),
            ROLE_TIMEOUT_S,
            f"{role}, {NAMES[side]} metrics: not ready",
        )
        servers[side] = _Server(process.pid, ports[place], settings.metrics_port + place)
    return servers


def _one(bench: Bench, servers: Servers) -> Iterator[Pair]:
    return _posted(bench, servers, 1, connections=32, requests=10_000)


def _many(bench: Bench, servers: Servers) -> Iterator[Pair]:
    return _posted(bench, servers, 100, connections=8, requests=400)


def _posted(
    bench: Bench, servers: Servers, size: int, *, connections: int, requests: int
) -> Iterator[Pair]:
    seconds = bench.pick(2.5, 1.0)
    for server in servers.values():
        bench.warm(server.port)
    with contextlib.ExitStack() as held:
        talkers: dict[bool, Talker] = {}
        for side, server in servers.items():
            plan = Plan(
                server.port, connections, seconds, fixes_a_body=size, requests=requests,
                seed=bench.seed, rounds=True,
            )  # fmt: skip
            talkers[side] = bench.start_generator(plan)
            held.callback(talkers[side].close)
        for number in range(bench.pick(5, 2) + 1):
            pair = _slice(talkers, servers, seconds)
            _empty_streams(bench)
            # Both have met this kind of request before it counts.
            if number:
                yield pair


def _slice(talkers: Mapping[bool, Talker], servers: Servers, seconds: float) -> Pair:
    before = {side: accounting.run_s(server.pid) for side, server in servers.items()}
    for talker in talkers.values():
        talker.go()
    cost = {}
    for side, talker in talkers.items():
        report = SentReport(**talker.report(seconds + REPORT_SLACK_S, rounds=True))
        if set(report.statuses) != {"202"}:
            raise Failed(f"{NAMES[side]} metrics: answers {report.statuses}")
        used_s = accounting.run_s(servers[side].pid) - before[side]
        cost[side] = used_s / report.fixes_sent * 1e6
    return cost


def _empty_streams(bench: Bench) -> None:
    """Nobody reads them here, and a slice of POST many is 60 MB."""
    stack = bench.stack
    with stack.redis() as client:
        for shard in range(stack.shards):
            client.xtrim(
                shard_keys(stack.settings.stream_name, shard, stack.shards).stream, maxlen=0
            )


def _frames(bench: Bench, servers: Servers) -> Iterator[Pair]:
    payloads = two_events(bench.seed)
    for number in range(bench.pick(3, 2) + 1):
        pair = _pumped(bench, servers, payloads)
        if number:
            yield pair


def _pumped(bench: Bench, servers: Servers, payloads: Sequence[bytes]) -> Pair:
    """The orders of each are its alone: the other hears nothing of them."""
    plans = {
        side: _watch_plan(bench, server.port, SOCKETS * int(side), payloads)
        for side, server in servers.items()
    }
    channels = [channel for plan in plans.values() for channel in plan.channels]
    # Channels outlive their watchers a little; new sockets must not meet them as they go.
    _await_channels(bench, channels, 0)
    with contextlib.ExitStack() as held:
        talkers = {side: bench.start_watcher(plan) for side, plan in plans.items()}
        for talker in talkers.values():
            held.callback(talker.close)
        _await_channels(bench, channels, len(channels))
        before = {side: accounting.run_s(server.pid) for side, server in servers.items()}
        for talker in talkers.values():
            talker.go()
        cost = {}
        for side, talker in talkers.items():
            timeout_s = plans[side].seconds + REPORT_SLACK_S
            report = WatchReport(**talker.report(timeout_s))
            if report.missing:
                raise LostFixes(f"{NAMES[side]} metrics: {report.missing} frames did not arrive")
            used_s = accounting.run_s(servers[side].pid) - before[side]
            cost[side] = used_s / report.frames * 1e6
    return cost


def _watch_plan(bench: Bench, port: int, first: int, payloads: Sequence[bytes]) -> WatchPlan:
    orders = [first_order(number) for number in range(first, first + SOCKETS)]
    return WatchPlan(
        port=port,
        paths=[PATH.format(order) for order in orders],
        seconds=bench.pick(3.0, 1.0),
        redis_url=bench.stack.redis_url,
        channels=[order_key(order) for order in orders],
        payloads=[event.decode() for event in payloads],
        frame_bytes=len(text_frame(update_frame(payloads[0]))),
    )


def _await_channels(bench: Bench, channels: Sequence[str], count: int) -> None:
    with bench.stack.redis() as client:
        wait_until(
            lambda: sum(number for _, number in client.pubsub_numsub(*channels)) == count,
            30,
            f"not {count} channels",
            every_s=0.1,
        )
    time.sleep(0.05)


def _scrape(server: _Server, role: str) -> Figure:
    """CPU of one answer of the metrics' door: Prometheus asks each five seconds."""
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    before = accounting.run_s(server.pid)
    size = 0
    for _ in range(SCRAPES):
        with urlopen(url, timeout=5) as answer:
            size = len(answer.read())
    cost_ms = (accounting.run_s(server.pid) - before) / SCRAPES * 1000
    return Figure(f"metrics.scrape_{role}", f"one scrape of {role}", round(cost_ms, 2), "ms CPU",
                  totals={"bytes": size})  # fmt: skip
