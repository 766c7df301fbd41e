"""The load generator: a process that sends prebuilt requests, in a closed or an open loop.

Closed: every connection sends again as soon as it is answered; finds the highest rate. Open:
requests leave at a given rate whatever the answers do, and a latency begins when its request
*should* have left, so a server that stalls cannot hide what it made wait. The generator reports
its own CPU: where that was the limit, its figures are not the service's.

Reads its plan (JSON) from standard input, says `ready`, waits for a line, and writes what it
saw as one line of JSON. If the plan is for rounds it then waits for the next line.
"""

import array
import asyncio
import itertools
import json
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import uvloop

from bench.load.http_client import Connection
from bench.load.payload import Pieces, get, group, many, one, stamp_of
from bench.load.percentiles import histogram, summary
from bench.load.workload import Fix, recorded, streets
from common.processes.process import die_with_parent

# The open loop looks this often whether something is due: what is due together leaves together.
TICK_S = 0.001
# A tick later than this is the generator's own stall; then requests count from when they were due.
TICK_LATE_S = 0.003
# From this share of a core on, the generator itself may be what limits a rate.
SATURATED_CPU = 0.92
# The open loop falls behind its rate by more than this: it did not reach its load.
REACHED_SHARE = 0.98
# Answers to what was sent last are waited for this long.
LINGER_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. `rate` is fixes a second in an open loop, 0 means a closed loop."""

    port: int
    connections: int
    seconds: float
    fixes_a_body: int = 1
    rate: float = 0.0
    # Share of the time that warms up and is left out of rate and latencies.
    warmup_share: float = 0.15
    seed: int = 1
    drivers: int = 10_000
    # Requests built beforehand; then they begin again with new times.
    requests: int = 10_000
    trace: str = ""
    # Instead of fixes: paths to GET in turn.
    paths: list[str] = field(default_factory=list)
    # All fixes are this one driver's.
    driver_id: str = ""
    # Driver id -> the token it sends.
    tokens: dict[str, str] = field(default_factory=dict)
    # After a round another may come, on new connections and where the requests had got to.
    rounds: bool = False


@dataclass(slots=True)
class Report:
    """What became of it. Latencies are milliseconds; rates are a second."""

    seconds: float
    requests: int
    fixes_sent: int
    fixes_accepted: int
    fixes_rejected: int
    fixes_unknown: int
    # Accepted fixes of the orders that drivers had at the beginning.
    fixes_first_order: int
    statuses: dict[str, int]
    requests_per_s: float
    fixes_per_s: float
    latency_ms: dict[str, float]
    histogram: list[int]
    cpu_share: float
    late_ms_max: float
    saturated: str


class Generator:
    """Sends what the plan says."""

    def __init__(self, plan: Plan, source: Iterator[tuple[Pieces, int, int]]) -> None:
        self._plan = plan
        self._source = source
        self._connections: list[Connection] = []
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._latencies = array.array("d")
        self._statuses: Counter[bytes] = Counter()
        self._accepted = self._rejected = self._unknown = self._sent = self._first = 0
        self._window = [0, 0]
        self._in_flight: dict[Connection, int] = {}
        self._stamp_s = 0.0
        self._begin_s = self._measure_from_s = self._end_s = 0.0
        self._late_s = 0.0
        self._stopped = False
        self._clock_offset_s = time.time() - time.monotonic()

    async def connect(self) -> None:
        """Open all connections."""
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._done, self._gone), "127.0.0.1", self._plan.port
            )
            self._connections.append(connection)
        self._free.extend(self._connections)

    async def run(self) -> Report:
        """Send for the plan's time, wait for the last answers, and report."""
        plan = self._plan
        self._clock_offset_s = time.time() - time.monotonic()
        used_s = _cpu_s()
        if not self._connections:
            # Another round: a server lets go of connections that idle between two.
            await self.connect()
        self._begin_s = time.monotonic()
        self._measure_from_s = self._begin_s + plan.seconds * plan.warmup_share
        self._end_s = self._begin_s + plan.seconds
        if plan.rate:
            await self._pace()
        else:
            while self._free:
                self._send(self._free.popleft(), time.monotonic())
            await asyncio.sleep(plan.seconds)
        self._stopped = True
        cpu_share = (_cpu_s() - used_s) / plan.seconds
        await self._settle()
        for connection in self._connections:
            connection.close()
        return self._report(cpu_share)

    async def _pace(self) -> None:
        """Note what is due, tick by tick, and send while connections are free."""
        rate = self._plan.rate / self._plan.fixes_a_body
        noted, last_s = 0, self._begin_s
        while (now_s := time.monotonic()) < self._end_s:
            late = now_s - last_s > TICK_LATE_S
            self._late_s = max(self._late_s, now_s - last_s - TICK_S)
            due = int((now_s - self._begin_s) * rate)
            for number in range(noted, due):
                self._due.append(self._begin_s + number / rate if late else now_s)
            noted, last_s = due, now_s
            while self._due and self._free:
                self._send(self._free.popleft(), self._due.popleft())
            await asyncio.sleep(TICK_S)

    def _send(self, connection: Connection, begun_s: float) -> None:
        pieces, fixes, first = next(self._source)
        # Every stamp once, so that every fix is one of its own.
        self._stamp_s = max(self._stamp_s + 2e-6, begun_s + self._clock_offset_s)
        self._sent += fixes
        self._in_flight[connection] = first
        connection.send(stamp_of(self._stamp_s).join(pieces), begun_s, fixes)

    def _done(self, connection: Connection, status: bytes, body: bytes) -> None:
        now_s = time.monotonic()
        self._statuses[status] += 1
        accepted = self._judge(connection, status, body)
        if self._measure_from_s <= connection.begun_s:
            self._latencies.append((now_s - connection.begun_s) * 1000)
        if self._measure_from_s <= now_s < self._end_s:
            self._window[0] += 1
            self._window[1] += accepted
        if self._due:
            self._send(connection, self._due.popleft())
        elif self._stopped or self._plan.rate:
            self._free.append(connection)
        else:
            self._send(connection, now_s)

    def _judge(self, connection: Connection, status: bytes, body: bytes) -> int:
        fixes = connection.fixes
        first = self._in_flight.pop(connection, 0)
        if status == b"202":
            accepted = fixes
            if fixes > 1:
                accepted = int(body[body.index(b":") + 1 : body.index(b",")])
            self._first += first if accepted == fixes else 0
            self._accepted += accepted
            self._rejected += fixes - accepted
            return accepted
        if status[:1] == b"5":
            self._unknown += fixes
        else:
            self._rejected += fixes
        return 0

    def _gone(self, connection: Connection) -> None:
        if self._in_flight.pop(connection, None) is not None:
            self._unknown += connection.fixes
            self._statuses[b"cut"] += 1

    async def _settle(self) -> None:
        until_s = time.monotonic() + LINGER_S
        while (self._in_flight or self._due) and time.monotonic() < until_s:
            await asyncio.sleep(0.005)
        self._unknown += sum(connection.fixes for connection in self._in_flight)
        self._in_flight.clear()

    def _report(self, cpu_share: float) -> Report:
        span_s = self._end_s - self._measure_from_s
        latencies = self._latencies
        rate = self._window[1] / span_s
        return Report(
            seconds=self._plan.seconds,
            requests=sum(self._statuses.values()),
            fixes_sent=self._sent,
            fixes_accepted=self._accepted,
            fixes_rejected=self._rejected,
            fixes_unknown=self._unknown,
            fixes_first_order=self._first,
            statuses={status.decode(): count for status, count in self._statuses.items()},
            requests_per_s=round(self._window[0] / span_s, 1),
            fixes_per_s=round(rate, 1),
            latency_ms=summary(latencies),
            histogram=histogram(latencies),
            cpu_share=round(cpu_share, 3),
            late_ms_max=round(self._late_s * 1000, 2),
            saturated=saturated(self._plan.rate, self._sent / self._plan.seconds, cpu_share),
        )


def saturated(rate: float, sent_per_s: float, cpu_share: float) -> str:
    """Why the generator did not reach its load; empty if it did, or if the service was slower."""
    if cpu_share >= SATURATED_CPU and (not rate or sent_per_s < rate * REACHED_SHARE):
        return f"generator saturated: {cpu_share:.0%} of a core"
    return ""


def build(plan: Plan) -> list[tuple[Pieces, int, int]]:
    """The plan's requests: pieces, fixes in it, and how many of them are of first orders."""
    host = f"127.0.0.1:{plan.port}"
    if plan.paths:
        return [(get(path, host), 0, 0) for path in plan.paths]
    source = fixes_of(plan)
    if plan.fixes_a_body == 1:
        singles = itertools.islice(source, plan.requests)
        token = plan.tokens.get
        return [
            (one(fix, host, token(fix.driver_id, "")), 1, is_first_order(fix)) for fix in singles
        ]
    groups = group(source, plan.fixes_a_body, plan.requests)
    return [(many(g, host), len(g), sum(map(is_first_order, g))) for g in groups]


def fixes_of(plan: Plan) -> Iterator[Fix]:
    """The workload that the plan names."""
    if plan.trace:
        from deploy.tools.trace.read import read_trace

        return recorded(plan.seed, plan.drivers, read_trace(Path(plan.trace)))
    if plan.driver_id:
        return (replace(fix, driver_id=plan.driver_id) for fix in streets(plan.seed, 1))
    return streets(plan.seed, plan.drivers)


def is_first_order(fix: Fix) -> int:
    """Whether somebody watches it: watchers know the orders of the beginning."""
    return int(fix.order_id is not None and fix.order_id.endswith("-0"))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    source = itertools.cycle(build(plan))
    generator = Generator(plan, source)
    await generator.connect()
    print("ready", flush=True)
    while sys.stdin.readline():
        print(json.dumps(asdict(await generator.run())), flush=True)
        if not plan.rounds:
            return
        generator = Generator(plan, source)


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(_main())
