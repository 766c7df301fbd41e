"""Drain: full streams, how fast are they stored; one consumer, then 1 to 8 shards.

Beside it a bare COPY of the same rows and the plain worker.
"""

import time
from collections.abc import Iterable

from bench import accounting
from bench.bare import copy_rate
from bench.context import Bench, LostFixes
from bench.load.fill import Event, add_entries, events, pipeline
from bench.plain.serve import STREAM
from bench.plain.worker import GROUP
from bench.processes import Failed
from bench.report.result import Figure
from common.shards import Shards

NAME = "drain"
TITLE = "Drain: one consumer, 1 to 8 shards, the plain worker, bare COPY"
BOUND_S = 420.0
SHARDS = (1, 2, 4, 8)
DRAIN_TIMEOUT_S = 90.0

# Seconds, and what a fix cost each role.
Drained = tuple[float, dict[str, float]]


def run(bench: Bench) -> Iterable[Figure]:
    """Every run starts with the same fixes in the streams and an empty history."""
    made = events(bench.seed, bench.pick(400_000, 80_000))
    bench.stack.reset()
    # The first rows into a new database are slower.
    copy_rate(bench.stack, made[:20_000], "warm", "warm-up")
    bench.stack.reset()
    yield copy_rate(bench.stack, made, "drain.copy", "bare COPY, 4,000 rows each")
    for shards in SHARDS:
        bench.say(f"{shards} shards")
        yield _drain(bench, made, shards)
    yield _plain(bench, made[: bench.pick(5000, 1500)])
    bench.stack.stop_roles()


def _drain(bench: Bench, made: list[Event], shards: int) -> Figure:
    stack = bench.stack
    stack.reset(shards)
    entries = add_entries(stack, made)
    streams = [shard.keys.stream for shard in Shards(stack.settings.stream_name, shards)]
    stack.start("consumers")
    group = stack.settings.consumer_group
    span_s, cost = drained(bench, streams, group, entries=entries, fixes=len(made))
    stack.stop_roles()
    rows = stack.rows()
    if rows != len(made):
        raise LostFixes(f"drain with {shards} shards: {len(made)} fixes, stored {rows}")
    label = "drain, 1 consumer" if shards == 1 else f"drain, {shards} shards"
    return Figure(
        f"drain.{shards}", label, len(made) / span_s, "fixes/s", cpu_us=cost,
        totals={
            "fixes": len(made), "entries": entries, "stored": rows, "seconds": round(span_s, 3),
        },
    )  # fmt: skip


def drained(bench: Bench, streams: list[str], group: str, *, entries: int, fixes: int) -> Drained:
    """Wait, from the first entry read to the last one acknowledged."""
    # Starting the processes is not what a fix costs.
    before: dict[str, float] = {}
    begin_s, until_s = 0.0, time.monotonic() + DRAIN_TIMEOUT_S
    with bench.stack.redis() as client:
        while time.monotonic() < until_s:
            read = pending = 0
            for stream in streams:
                for found in client.xinfo_groups(stream):
                    if found["name"] == group:
                        read += found["entries-read"] or 0
                        pending += found["pending"]
            now_s = time.monotonic()
            if read and not begin_s:
                begin_s, before = now_s, bench.stack.cpu()
            if read == entries and not pending:
                cost = accounting.per_fix_us(before, bench.stack.cpu(), fixes)
                return now_s - begin_s, cost
            time.sleep(0.005)
    raise Failed(f"{read} of {entries} entries read, {pending} pending after {DRAIN_TIMEOUT_S:g} s")


def _plain(bench: Bench, made: list[Event]) -> Figure:
    stack = bench.stack
    stack.reset()
    pipeline(stack.redis_url, (_plain_entry(event) for _, event in made))
    urls = {"REDIS_URL": stack.redis_url, "DATABASE_URL": stack.database_url}
    stack.start_other("plain", "-m", "bench.plain.worker", **urls)
    span_s, cost = _drained_group(bench, len(made))
    stack.stop_roles()
    return Figure(
        "drain.plain", "plain worker", len(made) / span_s, "fixes/s", cpu_us=cost,
        totals={"entries": len(made), "stored": stack.rows(), "seconds": round(span_s, 3)},
    )  # fmt: skip


def _drained_group(bench: Bench, count: int) -> Drained:
    with bench.stack.redis() as client:
        until_s = time.monotonic() + DRAIN_TIMEOUT_S
        while not client.xinfo_groups(STREAM):
            if time.monotonic() > until_s:
                raise Failed("the plain worker did not begin")
            time.sleep(0.01)
    return drained(bench, [STREAM], GROUP, entries=count, fixes=count)


def _plain_entry(event: bytes) -> tuple[object, ...]:
    import orjson

    fields = orjson.loads(event)
    pairs = [part for name, value in fields.items() if value is not None for part in (name, value)]
    return ("XADD", STREAM, "*", *pairs)
