"""Fan-out: the highest rate, and the memory of a socket; the plain design beside it.

Every socket watches an order of its own, as customers do. What is published is an event of usual
length, the same for all, so frames can be counted by their bytes.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from bench import accounting
from bench.context import Bench, LostFixes
from bench.load.fill import update_of
from bench.load.resp import connect, pack
from bench.load.watcher import Plan, Report
from bench.load.workload import first_order, streets
from bench.processes import Talker, wait_until
from bench.report.result import Figure
from common.event import encode_event
from common.frame import update_frame
from common.keys import order_key
from deploy.servers.checks import http_answers
from fanout.sockets.protocol import text_frame

NAME = "fanout"
TITLE = "Fan-out: frames a second, memory per socket, bare PUBLISH, the plain design"
BOUND_S = 180.0
SOCKETS = 1000
# Role to the key and the label of its figures.
LABELS = {"fanout": ("fanout", "fan-out"), "plain": ("fanout_plain", "fan-out, plain design")}
PATH = "/api/v1/drivers/orders/{}/driver-location"


def run(bench: Bench) -> Iterable[Figure]:
    """Nothing but Redis and the fan-out under it."""
    stack = bench.stack
    port = stack.settings.fanout_port
    made = two_events(bench.seed)
    stack.reset()
    yield _bare(bench, made)
    stack.start("fanout")
    yield from _pump(bench, made, port, "fanout")
    yield _memory(bench, port)

    stack.reset()
    plain = {"REDIS_URL": stack.redis_url, "DATABASE_URL": stack.database_url}
    stack.start_other("plain", "-m", "bench.plain.serve", str(port), **plain)
    path = "/api/v1/drivers/none/location"
    wait_until(lambda: http_answers("127.0.0.1", port, path), 20, "the server did not answer")
    yield from _pump(bench, made, port, "plain")
    stack.stop_roles()


def two_events(seed: int) -> list[bytes]:
    """Two events of the same driver and length."""
    fix = next(streets(seed, 1))
    made = []
    for microsecond in (123_456, 654_321):
        when = datetime.now(UTC).replace(microsecond=microsecond)
        made.append(encode_event(fix.driver_id, update_of(fix), when, when))
    return made


def _pump(bench: Bench, made: list[bytes], port: int, role: str) -> list[Figure]:
    key, label = LABELS[role]
    channel = order_key if role == "fanout" else "order:{}".format
    plan = Plan(
        port=port,
        paths=[PATH.format(first_order(n)) for n in range(SOCKETS)],
        seconds=bench.pick(6.0, 2.5),
        redis_url=bench.stack.redis_url,
        channels=[channel(first_order(n)) for n in range(SOCKETS)],
        payloads=[event.decode() for event in made],
        frame_bytes=len(text_frame(update_frame(made[0]))),
    )
    root = bench.stack.roots()[role][0]
    empty_bytes = accounting.rss_bytes(root)
    talker = bench.start_watcher(plan)
    _await_subscriptions(bench, SOCKETS)
    full_bytes = accounting.rss_bytes(root)
    before = bench.stack.cpu()
    talker.go()
    report = Report(**talker.report(plan.seconds + 60))
    cost = accounting.per_fix_us(before, bench.stack.cpu(), report.frames)
    notes = [report.saturated] if report.saturated else []
    if report.missing and role == "plain":
        notes.append(f"{report.missing} frames did not arrive")
    elif report.missing:
        raise LostFixes(f"{label}: {report.missing} frames did not arrive")
    totals = {**asdict(report), "histogram": None, "latency_ms": None}
    rate = Figure(
        f"{key}.rate", label, report.frames_per_s, "frames/s", cpu_us=cost, totals=totals,
        notes=notes,
    )  # fmt: skip
    if role != "plain":
        return [rate]
    a_socket = (full_bytes - empty_bytes) / SOCKETS / 1024
    return [rate, Figure(f"{key}.memory", f"{label}, memory a socket", a_socket, "KB")]


def _memory(bench: Bench, port: int) -> Figure:
    """Resident memory that each further socket takes, beyond those that warmed the process up."""
    root = bench.stack.roots()["fanout"][0]
    count = bench.pick(8000, 4000)
    paths = [PATH.format(first_order(n)) for n in range(count)]
    before_bytes = accounting.rss_bytes(root)
    talker: Talker = bench.start_watcher(Plan(port=port, paths=paths))
    _await_subscriptions(bench, count)
    after_bytes = accounting.rss_bytes(root)
    talker.go()
    talker.go()
    talker.report(30)
    return Figure(
        "fanout.memory", "fan-out, memory a socket", (after_bytes - before_bytes) / count / 1024,
        "KB", totals={"sockets": count, "before": before_bytes, "after": after_bytes},
    )  # fmt: skip


def _await_subscriptions(bench: Bench, count: int) -> None:
    """Wait until Redis knows all channels: only then does every publication reach a socket."""
    with bench.stack.redis() as client:
        wait_until(
            lambda: len(client.pubsub_channels("order:*")) == count, 30,
            "the fan-out did not subscribe", every_s=0.1,
        )  # fmt: skip


def _bare(bench: Bench, made: list[bytes]) -> Figure:
    """PUBLISH and SUBSCRIBE with nothing behind them: one connection each way, pipelined."""
    seconds, at_once = bench.pick(4.0, 1.5), 500
    url = bench.stack.redis_url
    message = pack(("PUBLISH", "order:bare", made[0]))
    with connect(url) as sender, connect(url) as taker:
        taker.sendall(b"SUBSCRIBE order:bare\r\n")
        taker.recv(4096)
        sender.sendall(message)
        size = len(taker.recv(65_536))
        before, begin_s, count = bench.stack.cpu(), time.monotonic(), 0
        sender.recv(65_536)
        while time.monotonic() - begin_s < seconds:
            sender.sendall(message * at_once)
            waiting = size * at_once
            while waiting > 0:
                waiting -= len(taker.recv(262_144))
            replies = at_once * 4
            while replies > 0:
                replies -= len(sender.recv(262_144))
            count += at_once
        span_s = time.monotonic() - begin_s
    cost = accounting.per_fix_us(before, bench.stack.cpu(), count)
    return Figure(
        "fanout.bare", "bare PUBLISH and SUBSCRIBE", count / span_s, "messages/s", cpu_us=cost
    )
