"""Two workers drain at the same time, one with what is asked about and one without.

A machine of others is never the same twice: single drains stray by a quarter, within one run. What
runs side by side meets the same machine. Both workers are stopped while their streams are filled,
so they begin together; each has either shard as often.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bench import accounting
from bench.context import Bench, LostFixes
from bench.load.fill import Event, add_entries, update_of
from bench.load.workload import Fix
from bench.processes import Failed, wait_until
from bench.scenarios.beside.pairs import SIDES, Pair
from bench.stack import ROLE_TIMEOUT_S
from common.event import encode_event
from common.keys import shard_keys, shard_of

SHARDS = 2
DRAIN_TIMEOUT_S = 90.0
NAMES = {False: "without", True: "having"}
# Both sides put their dictionaries into the same order.
ALIKE = {"PYTHONHASHSEED": "0"}


class _Worker(NamedTuple):
    """One side: its process, and its shard's stream."""

    pid: int
    shard: int
    stream: str


def drains(
    bench: Bench,
    envs: Mapping[bool, Mapping[str, str]],
    events: Callable[[], Sequence[Event]],
    begun: Callable[[], None] = lambda: None,
) -> Iterator[Pair]:
    """CPU (µs) of each side's worker for a fix, drain by drain.

    `envs`: what each is told. `events`: new ones each time. `begun` is called once both have
    stored some.
    """
    for generation in range(bench.pick(4, 2)):
        bench.stack.reset(SHARDS)
        stored = 0
        workers = _start(bench, envs, swapped=bool(generation % 2))
        for number in range(bench.pick(6, 1) + 1):
            made = events()
            stored += len(made)
            pair = _drain(bench, workers, made)
            if number:
                yield pair
            else:
                # The first one warms them up.
                begun()
        bench.stack.stop_roles()
        if bench.stack.rows() != stored:
            raise LostFixes(f"{stored} fixes, stored {bench.stack.rows()}")


def _start(
    bench: Bench, envs: Mapping[bool, Mapping[str, str]], *, swapped: bool
) -> dict[bool, _Worker]:
    stack, workers = bench.stack, {}
    for side in SIDES:
        shard = int(side is not swapped)
        environment = {**stack.environment("consumers"), **ALIKE, **envs[side]}
        environment["METRICS_PORT"] = str(stack.settings.metrics_port + int(side))
        # Both would note their children there.
        del environment["FLEETLINE_HOME"]
        arguments = ("-m", "deploy.cli", "consumers", "--only", str(shard))
        process = stack.start_other(NAMES[side], *arguments, **environment)
        keys = shard_keys(stack.settings.stream_name, shard, stack.shards)
        workers[side] = _Worker(process.pid, shard, keys.stream)
    with stack.redis() as client:
        for worker in workers.values():
            wait_until(
                lambda stream=worker.stream: client.exists(stream) and client.xinfo_groups(stream),
                ROLE_TIMEOUT_S,
                "a worker did not begin",
            )
    return workers


def _drain(bench: Bench, workers: Mapping[bool, _Worker], made: Sequence[Event]) -> Pair:
    stack, fixes = bench.stack, [0] * SHARDS
    for driver_id, _ in made:
        fixes[shard_of(driver_id, SHARDS)] += 1
    with stack.redis() as client:
        _signal(workers, signal.SIGSTOP)
        try:
            add_entries(stack, made)
            before = {side: accounting.run_s(worker.pid) for side, worker in workers.items()}
            ends = {
                worker.stream: client.xinfo_stream(worker.stream)["entries-added"]
                for worker in workers.values()
            }
        finally:
            _signal(workers, signal.SIGCONT)
        cost: dict[bool, float] = {}
        until_s = time.monotonic() + DRAIN_TIMEOUT_S
        while len(cost) < len(workers):
            for side, worker in workers.items():
                [group] = client.xinfo_groups(worker.stream)
                over = group["entries-read"] == ends[worker.stream] and not group["pending"]
                if over and side not in cost:
                    used_s = accounting.run_s(worker.pid) - before[side]
                    cost[side] = used_s / fixes[worker.shard] * 1e6
            if time.monotonic() > until_s:
                raise Failed(f"not drained after {DRAIN_TIMEOUT_S:g} s")
            time.sleep(0.005)
    return cost


def _signal(workers: Mapping[bool, _Worker], number: int) -> None:
    known = accounting.accounts()
    for worker in workers.values():
        for pid in accounting.family(worker.pid, known):
            os.kill(pid, number)


def dated(fixes: Sequence[Fix], ahead_s: float = 0.0) -> list[Event]:
    """The fixes as events a microsecond apart, up to `ahead_s` from now."""
    received_at = datetime.now(UTC)
    first = received_at + timedelta(seconds=ahead_s, microseconds=-len(fixes))
    return [
        (
            fix.driver_id,
            encode_event(
                fix.driver_id, update_of(fix), first + timedelta(microseconds=n), received_at
            ),
        )
        for n, fix in enumerate(fixes)
    ]
