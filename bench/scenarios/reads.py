"""Reads over HTTP: current position, nearby among few and very many drivers, a day's route.

These are latencies, so nothing waits in a queue: current positions and routes are asked one after
the other on one connection, nearby is paced. They hold everything from the socket on; what the
handler takes is less.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from bench import database
from bench.context import Bench, rate_figure
from bench.load.fill import add_drivers, add_history
from bench.load.generator import Plan
from bench.load.workload import CENTRE
from bench.report.result import Figure

NAME = "reads"
TITLE = "Reads: current, nearby, a day's route"
BOUND_S = 300.0
FEW = 10_000
# A day of one driver, a fix every 5 s.
DAY_POINTS = 17_280
PAGE_POINTS = 10_000


def run(bench: Bench) -> Iterable[Figure]:
    """Current and nearby from Redis, routes from the database; nothing else runs."""
    stack = bench.stack
    many = bench.pick(1_000_000, 100_000)
    for count in (FEW, many):
        stack.reset()
        stack.start("ingest")
        bench.say(f"{count:,} drivers on the map")
        add_drivers(stack, count)
        if count == FEW:
            yield _current(bench)
        yield _nearby(bench, count)
    stack.reset()
    drivers = bench.pick(579, 58)
    bench.say(f"{drivers * DAY_POINTS:,} rows of history")
    database.call(stack.database_url, lambda c: add_history(c, drivers, DAY_POINTS))
    stack.start("ingest")
    yield _route(bench, drivers)
    stack.stop_roles()


def _current(bench: Bench) -> Figure:
    rng = random.Random(bench.seed)
    paths = [f"/api/v1/drivers/near-{rng.randrange(FEW):07}/location" for _ in range(5000)]
    plan = Plan(bench.stack.settings.ingest_port, 1, bench.pick(5.0, 2.0), paths=paths)
    return rate_figure("reads.current", "current position", bench.load(plan), unit="requests/s")


def _nearby(bench: Bench, count: int) -> Figure:
    rng = random.Random(bench.seed)
    paths = []
    for _ in range(2000):
        # A point within the town; the nearest 50 of about a thousand in the circle.
        where = {
            "lat": round(CENTRE[0] + rng.uniform(-0.01, 0.01), 6),
            "lng": round(CENTRE[1] + rng.uniform(-0.01, 0.01), 6),
            "radius": 500,
            "limit": 50,
        }
        paths.append(f"/api/v1/drivers/nearby?{urlencode(where)}")
    plan = Plan(bench.stack.settings.ingest_port, 16, bench.pick(5.0, 2.0), rate=100, paths=paths)
    load = bench.load(plan)
    key = "reads.nearby_few" if count == FEW else "reads.nearby_many"
    return rate_figure(key, f"nearby, 50 of {count:,}", load, unit="requests/s")


def _route(bench: Bench, drivers: int) -> Figure:
    """A whole day in two pages; the latency of a day is that of both."""
    rng = random.Random(bench.seed)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = today - timedelta(days=1), today
    middle = start + timedelta(seconds=5 * PAGE_POINTS)
    paths = []
    for _ in range(drivers):
        driver = f"route-{rng.randrange(drivers) + 1}"
        for since, until in ((start, middle), (middle, end)):
            query = urlencode(
                {
                    "start_time": since.isoformat(),
                    "end_time": until.isoformat(),
                    "limit": PAGE_POINTS,
                }
            )
            paths.append(f"/api/v1/drivers/{driver}/route?{query}")
    plan = Plan(
        bench.stack.settings.ingest_port, 1, bench.pick(8.0, 3.0), paths=paths, warmup_share=0.2
    )
    load = bench.load(plan)
    label = f"a day's route ({DAY_POINTS:,} points, two pages) of {drivers * DAY_POINTS:,} rows"
    page = rate_figure("reads.route", label, load, unit="requests/s")
    # One request after the other, and two make a day.
    return replace(page, value=round(2000 / page.value, 1) if page.value else 0.0, unit="ms")
