"""Drain with insight and without: CPU of the consumers and of PostgreSQL, in turns.

Rows that come in time, as all do from day to day, and rows that are all late, where every batch
leaves a mark: the worst case, after an outage.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice

from bench.context import Bench, LostFixes
from bench.fill import Event, add_entries, update_of
from bench.result import Figure
from bench.scenarios.beside.pairs import SIDES, ratio, turns
from bench.scenarios.drain import drained
from bench.workload import Fix, streets
from common.event import encode_event
from common.keys import shard_keys

NAME = "beside_drain"
TITLE = "Drain with insight and without, in turns: rows in time, and rows that are all late"
BOUND_S = 900.0
DRIVERS = 10_000
# As of when the newest row is, in seconds; in time even when a slow machine comes to it.
AHEAD_S = {"in_time": 60.0, "late": -60.0}
LABELS = {"in_time": "rows in time", "late": "rows that are all late"}


def run(bench: Bench) -> Iterable[Figure]:
    """Every drain begins with the same fixes on empty servers."""
    fixes = list(islice(streets(bench.seed, DRIVERS), bench.pick(200_000, 60_000)))
    for kind in AHEAD_S:
        # The first drain of all warms the servers up.
        _drain(bench, fixes, kind, insight=True)
        found: dict[bool, list[dict[str, float]]] = {side: [] for side in SIDES}
        for insight in turns(bench.pick(8, 2)):
            found[insight].append(_drain(bench, fixes, kind, insight=insight))
            bench.say(f"{kind}, insight {'on' if insight else 'off'}: {found[insight][-1]}")
        for role in ("consumers", "postgres"):
            yield _figure(kind, role, {s: [cost[role] for cost in found[s]] for s in SIDES})
    bench.stack.stop_roles()


def _figure(kind: str, role: str, found: dict[bool, list[float]]) -> Figure:
    times = ratio(found[False], found[True])
    note = f"{len(found[True])} pairs, the middle half {times.low:.3f} to {times.high:.3f}"
    return Figure(
        f"beside_drain.{kind}.{role}", f"CPU of {role}, with insight ÷ without, {LABELS[kind]}",
        times.median, "times", totals=times.totals(), notes=[note],
    )  # fmt: skip


def _drain(bench: Bench, fixes: list[Fix], kind: str, *, insight: bool) -> dict[str, float]:
    stack = bench.stack
    stack.reset(1)
    made = _events(fixes, AHEAD_S[kind])
    entries = add_entries(stack, made)
    stream = shard_keys(stack.settings.stream_name, 0).stream
    stack.start("consumers", insight="on" if insight else "off")
    group = stack.settings.consumer_group
    _, cost = drained(bench, [stream], group, entries=entries, fixes=len(made))
    stack.stop_roles()
    if stack.rows() != len(made):
        raise LostFixes(f"drain, {kind}: {len(made)} fixes, stored {stack.rows()}")
    return cost


def _events(fixes: list[Fix], ahead_s: float) -> list[Event]:
    """A microsecond apart, up to `ahead_s` from now."""
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
