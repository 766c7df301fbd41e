"""What metrics cost: roles as they are beside the same roles without the lines that count.

POST one, POST many and frames: two servers side by side, loaded in turns. Drain: one after the
other. Compared is CPU, of the role alone. What a scrape costs stands for itself.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.request import urlopen

from bench import uncounted
from bench.context import REPORT_SLACK_S, Bench, LostFixes
from bench.fill import Event, add_entries, events
from bench.generator import Plan
from bench.processes import Failed, Talker, wait_until
from bench.result import Figure
from bench.scenarios.beside.pairs import SIDES, ratio, turns
from bench.scenarios.drain import drained
from bench.scenarios.fanout import PATH, two_events
from bench.stack import ROLE_TIMEOUT_S
from bench.watcher import Plan as WatchPlan
from bench.watcher import Report as WatchReport
from bench.workload import first_order
from common.frame import update_frame
from common.keys import order_key, shard_keys
from deploy.servers.checks import http_answers
from fanout.sockets.protocol import text_frame

NAME = "metrics"
TITLE = "Metrics: CPU of ingest, consumers and fan-out with them and without, in turns"
BOUND_S = 900.0
SOCKETS = 1000
SCRAPES = 100
UNIT = "% more CPU"
# Name to its label, and the role whose CPU is compared.
MEASURED = {
    "one": ("POST one", "ingest"),
    "many": ("POST many, 100 a body", "ingest"),
    "drain": ("drain", "consumers"),
    "frames": ("frames", "fanout"),
}


@dataclass(frozen=True, slots=True)
class _Server:
    """One of two that stand side by side, by what it is called in the accounts."""

    name: str
    port: int
    metrics_port: int
    env: Mapping[str, str]


def run(bench: Bench) -> Iterable[Figure]:
    """Ingest, then drain, then the fan-out."""
    yield from _ingest(bench)
    yield _drain(bench)
    yield from _frames(bench)
    bench.stack.stop_roles()


def _servers(bench: Bench) -> dict[bool, _Server]:
    """Ports of roles that are not running are taken."""
    settings = bench.stack.settings
    first = settings.metrics_port
    return {
        False: _Server("uncounted", settings.fanout_port, first, uncounted.environment()),
        True: _Server("counted", settings.ingest_port, first + 1, {}),
    }


def _serve(bench: Bench, role: str, server: _Server, check: str, **env: str) -> None:
    stack = bench.stack
    environment = {
        **stack.environment(role),
        f"{role.upper()}_PORT": str(server.port),
        "METRICS_PORT": str(server.metrics_port),
        **env,
        **server.env,
    }
    stack.start_other(server.name, "-m", "deploy.cli", role, **environment)
    wait_until(
        lambda: http_answers("127.0.0.1", server.port, check),
        ROLE_TIMEOUT_S,
        f"{role}, {server.name}: not ready",
    )


def _ingest(bench: Bench) -> Iterator[Figure]:
    stack, servers = bench.stack, _servers(bench)
    stack.reset()
    for server in servers.values():
        _serve(bench, "ingest", server, "/health/live", BACKLOG_MAX="100000000")
        bench.warm(server.port)
    for name, size, connections, requests in (("one", 1, 64, 10_000), ("many", 100, 16, 400)):
        plan = Plan(
            0, connections, bench.pick(2.5, 1.0), fixes_a_body=size, requests=requests,
            seed=bench.seed, rounds=True,
        )  # fmt: skip
        with contextlib.ExitStack() as held:
            talkers = {
                side: _talk(bench, held, replace(plan, port=server.port))
                for side, server in servers.items()
            }
            # Both have met this kind of request before it counts.
            for side in SIDES:
                _posted(bench, talkers[side], plan, servers[side])

            def cost(
                side: bool,
                talkers: Mapping[bool, Talker] = talkers,
                plan: Plan = plan,
            ) -> float:
                return _posted(bench, talkers[side], plan, servers[side])

            yield _compared(bench, name, cost, bench.pick(12, 3))
    yield _scrape(bench, servers[True], "ingest")
    stack.stop_roles()


def _talk(bench: Bench, held: contextlib.ExitStack, plan: Plan) -> Talker:
    talker = bench.start_generator(plan)
    held.callback(talker.close)
    return talker


def _posted(bench: Bench, talker: Talker, plan: Plan, server: _Server) -> float:
    load = bench.measure(talker, plan)
    _empty_streams(bench)
    if set(load.report.statuses) != {"202"}:
        raise Failed(f"{server.name}: answers {load.report.statuses}")
    return load.cpu_us[server.name]


def _empty_streams(bench: Bench) -> None:
    """Nobody reads them here, and a slice of POST many is 60 MB."""
    stack = bench.stack
    with stack.redis() as client:
        for shard in range(stack.shards):
            client.xtrim(shard_keys(stack.settings.stream_name, shard).stream, maxlen=0)


def _compared(bench: Bench, name: str, cost: Callable[[bool], float], pairs: int) -> Figure:
    """Costs of both sides in turns; how much more the one with metrics takes."""
    found: dict[bool, list[float]] = {side: [] for side in SIDES}
    for side in turns(pairs):
        found[side].append(cost(side))
    return _figure(bench, name, found)


def _figure(bench: Bench, name: str, found: Mapping[bool, Sequence[float]]) -> Figure:
    label, role = MEASURED[name]
    times = ratio(found[False], found[True])
    low, high = (round((value - 1) * 100, 2) for value in (times.low, times.high))
    without, having = (round(statistics.median(found[side]), 3) for side in SIDES)
    note = f"{len(found[True])} pairs, the middle half {low:+.1f} to {high:+.1f} %"
    bench.say(f"{label}: {without} µs without, {having} with; {note}")
    return Figure(
        f"metrics.{name}", f"metrics of {role}, {label}", round((times.median - 1) * 100, 2), UNIT,
        cpu_us={role: having}, totals={"without": without, **times.totals()}, notes=[note],
    )  # fmt: skip


def _scrape(bench: Bench, server: _Server, role: str) -> Figure:
    """CPU of one answer of the metrics' door: Prometheus asks each five seconds."""
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    before = bench.stack.cpu()[server.name]
    for _ in range(SCRAPES):
        with urlopen(url, timeout=5) as answer:
            size = len(answer.read())
    cost_ms = (bench.stack.cpu()[server.name] - before) / SCRAPES * 1000
    return Figure(f"metrics.scrape_{role}", f"one scrape of {role}", round(cost_ms, 2), "ms CPU",
                  totals={"bytes": size})  # fmt: skip


def _drain(bench: Bench) -> Figure:
    made = events(bench.seed, bench.pick(200_000, 60_000))

    def cost(counted: bool) -> float:
        return _drained(bench, made, {} if counted else uncounted.environment())

    return _compared(bench, "drain", cost, bench.pick(8, 2))


def _drained(bench: Bench, made: list[Event], env: Mapping[str, str]) -> float:
    stack = bench.stack
    stack.reset(1)
    entries = add_entries(stack, made)
    stream = shard_keys(stack.settings.stream_name, 0).stream
    stack.start("consumers", **env)
    group = stack.settings.consumer_group
    _, cost = drained(bench, [stream], group, entries=entries, fixes=len(made))
    stack.stop_roles()
    if stack.rows() != len(made):
        raise LostFixes(f"drain: {len(made)} fixes, stored {stack.rows()}")
    return cost["consumers"]


def _frames(bench: Bench) -> Iterator[Figure]:
    stack, servers = bench.stack, _servers(bench)
    stack.reset()
    for server in servers.values():
        _serve(bench, "fanout", server, "/health/ready")
    payloads = two_events(bench.seed)

    def cost(side: bool) -> float:
        return _pumped(bench, servers[side], SOCKETS * int(side), payloads)

    for side in SIDES:
        cost(side)
    yield _compared(bench, "frames", cost, bench.pick(10, 2))
    yield _scrape(bench, servers[True], "fanout")


def _pumped(bench: Bench, server: _Server, first: int, payloads: Sequence[bytes]) -> float:
    """CPU of a frame. The orders are this server's alone: the other hears nothing of them."""
    orders = [first_order(number) for number in range(first, first + SOCKETS)]
    channels = [order_key(order) for order in orders]
    plan = WatchPlan(
        port=server.port,
        paths=[PATH.format(order) for order in orders],
        seconds=bench.pick(2.5, 1.0),
        redis_url=bench.stack.redis_url,
        channels=channels,
        payloads=[event.decode() for event in payloads],
        frame_bytes=len(text_frame(update_frame(payloads[0]))),
    )
    # Channels outlive their watchers a little; new sockets must not meet them as they go.
    _await_channels(bench, channels, 0)
    talker = bench.start_watcher(plan)
    try:
        _await_channels(bench, channels, SOCKETS)
        before = bench.stack.cpu()[server.name]
        talker.go()
        report = WatchReport(**talker.report(plan.seconds + REPORT_SLACK_S))
        used_s = bench.stack.cpu()[server.name] - before
    finally:
        talker.close()
    if report.missing:
        raise LostFixes(f"{server.name}: {report.missing} frames did not arrive")
    return used_s / report.frames * 1e6


def _await_channels(bench: Bench, channels: Sequence[str], count: int) -> None:
    with bench.stack.redis() as client:
        wait_until(
            lambda: sum(number for _, number in client.pubsub_numsub(*channels)) == count,
            30,
            f"not {count} channels",
            every_s=0.1,
        )
    time.sleep(0.05)
