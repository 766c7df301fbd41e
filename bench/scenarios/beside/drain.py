"""Drain with insight and without, side by side: CPU of the worker for a fix.

Rows that come in time, as all do from day to day, and rows that are all late, where every batch
leaves a mark: the worst case, after an outage.
"""

from collections.abc import Iterable
from functools import partial
from itertools import islice

import asyncpg

from bench import database
from bench.context import Bench
from bench.load.workload import streets
from bench.report.result import Figure
from bench.scenarios.beside.duel import dated, drains
from bench.scenarios.beside.pairs import SIDES, median_of, ratio

NAME = "beside_drain"
TITLE = "Drain with insight and without, side by side: rows in time, and rows that are all late"
BOUND_S = 900.0
DRIVERS = 10_000
# As of when the newest row is, in seconds; in time even when a slow machine comes to it.
AHEAD_S = {"in_time": 60.0, "late": -60.0}
LABELS = {"in_time": "rows in time", "late": "rows that are all late"}
ENVS = {side: {"INSIGHT": "on" if side else "off"} for side in SIDES}
# Marks are left once a follower has been there. A worker with INSIGHT=off notes that it leaves
# none, which would spare the other one its marks.
_FOLLOWED = "UPDATE insight_settings SET rules = 'bench', unmarked = false"


def run(bench: Bench) -> Iterable[Figure]:
    """Both kinds of rows."""
    fixes = list(islice(streets(bench.seed, DRIVERS), bench.pick(120_000, 60_000)))
    for kind, ahead_s in AHEAD_S.items():
        pairs = []
        made = partial(dated, fixes, ahead_s)
        for pair in drains(bench, ENVS, made, partial(_followed, bench)):
            pairs.append(pair)
            bench.say(f"{kind}: {pair[False]:.2f} µs without, {pair[True]:.2f} with")
        times = ratio(pairs)
        note = f"{len(pairs)} pairs, the middle half {times.low:.3f} to {times.high:.3f}"
        without, having = (median_of(pairs, side) for side in SIDES)
        yield Figure(
            f"beside_drain.{kind}", f"CPU of a worker, with insight ÷ without, {LABELS[kind]}",
            times.median, "times", totals={"without": without, "with": having, **times.totals()},
            notes=[note],
        )  # fmt: skip


def _followed(bench: Bench) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(_FOLLOWED)

    database.call(bench.stack.database_url, work)
