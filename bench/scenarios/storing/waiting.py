"""Memory of Redis: what a fix takes that waits to be stored, and what a driver takes on the map.

CPU is not measured here. An entry that waits is in no pending list: while a database is away the
history holds one page.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bench.context import Bench
from bench.load.fill import BODY_FIXES, ORDER_TTL_S, Event, add_entries, events, pipeline
from bench.report.result import Figure
from common.event import decode_event
from common.keys import order_key
from common.shards import Shards

NAME = "waiting"
TITLE = "Waiting: memory of Redis for a waiting fix and for a driver"
BOUND_S = 120.0


def run(bench: Bench) -> Iterable[Figure]:
    """Fixes one an entry and in packs, in four shards; then drivers, each with an order."""
    made = events(bench.seed, bench.pick(400_000, 80_000))
    for variant, at_once, label in (
        ("single", 1, "a waiting fix, one an entry"),
        ("packs", BODY_FIXES, f"a waiting fix, packs of bodies of {BODY_FIXES}"),
    ):
        yield _waiting(bench, made, variant, label, at_once)
    yield _drivers(bench, events(bench.seed, count := bench.pick(100_000, 20_000), drivers=count))


def _waiting(bench: Bench, made: Sequence[Event], variant: str, label: str, at_once: int) -> Figure:
    stack = bench.stack
    entries = 0

    def add() -> None:
        nonlocal entries
        entries = add_entries(stack, made, at_once)

    grown = _grown(bench, add)
    streams = [shard.keys.stream for shard in Shards(stack.settings.stream_name, stack.shards)]
    with stack.redis() as client:
        said = sum(client.memory_usage(stream) or 0 for stream in streams)
    totals = {
        "fixes": len(made),
        "entries": entries,
        "event_bytes": round(sum(len(event) for _, event in made) / len(made)),
        "memory_usage_bytes_a_fix": round(said / len(made), 1),
    }
    notes = [f"{len(made) / entries:.1f} fixes an entry, events of {totals['event_bytes']} bytes"]
    return Figure(
        f"waiting.{variant}", label, grown / len(made), "bytes", totals=totals, notes=notes
    )


def _drivers(bench: Bench, made: Sequence[Event]) -> Figure:
    """What the live stage keeps: newest event, place, time, and the order's newest event."""
    shards = Shards(bench.stack.settings.stream_name, bench.stack.shards)

    def commands() -> Iterator[tuple[object, ...]]:
        for driver_id, event in made:
            keys, fix = shards.of(driver_id).keys, decode_event(event)
            yield ("GEOADD", keys.geo, fix.longitude, fix.latitude, driver_id)
            yield ("HSET", keys.live, driver_id, event)
            yield ("ZADD", keys.seen, fix.recorded_at.timestamp(), driver_id)
            yield ("SET", order_key(f"{driver_id}-order"), event, "EX", ORDER_TTL_S)

    grown = _grown(bench, lambda: pipeline(bench.stack.redis_url, commands()))
    return Figure(
        "waiting.driver", "a driver on the map, with an order", grown / len(made), "bytes",
        totals={"drivers": len(made)},
    )  # fmt: skip


def _grown(bench: Bench, work: Callable[[], Any]) -> int:
    """Bytes by which the memory of Redis grows with `work`, which begins with none of its data."""
    bench.stack.reset()
    before = _used(bench)
    work()
    return _used(bench) - before


def _used(bench: Bench) -> int:
    with bench.stack.redis() as client:
        return int(client.info("memory")["used_memory"])
