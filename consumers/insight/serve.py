"""`fleetline insight`: follows the history until a stop signal. Slower than anything else: it runs
at a low priority, on a connection of its own, and nobody waits for it.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import asyncpg

from common import log
from common.backoff import Backoff
from common.databases.seat import ONLY, Seat, seats
from common.geo import cells
from common.log import Repeated, get
from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.processes.priority import step_back
from common.settings import Settings
from common.settings.insight import INSIGHT_LAG_S
from consumers.insight.database import Database, connect
from consumers.insight.fold.rules import Rules
from consumers.insight.follower import Follower
from consumers.insight.home_events import HomeEvents
from consumers.insight.numbers import FollowerNumbers
from consumers.insight.rebuild import adopt
from consumers.insight.shares import LOCK_CLASS, SHARES
from consumers.insight.trip_news import tell_silent
from consumers.role import over_connections, run_until_stopped
from consumers.shares import Shares

# From the beginning of a turn to the next one's. Together with INSIGHT_LAG_S and two turns' work
# on a busy machine, results are at most 30 s behind.
TURN_S = 8.0
# Live and history go first where cores are short.
NICENESS = 10
RETRY = Backoff(first_s=0.5, most_s=5.0)

_log = get("insight")


def rules_of(settings: Settings) -> Rules:
    """The rules of this installation."""
    return Rules(
        stop_radius_m=settings.stop_radius_m,
        stop_min_s=settings.stop_min_s,
        gap_s=settings.gap_s,
        trip_min_m=settings.trip_min_m,
        speed_limit_kmh=settings.speed_limit_kmh,
        cells=cells.available(),
    )


def follower_over(
    connection: asyncpg.Connection, settings: Settings, advanced: Callable[[], None] = lambda: None
) -> Follower:
    """A follower by the rules of this installation; `advanced` is called as it goes on."""
    rules = rules_of(settings)
    cell_of = cells.cell_function() if rules.cells else None
    return Follower(Database(connection), rules, cell_of, advanced)


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Follow until SIGTERM or SIGINT. Returns the exit status."""
    step_back(NICENESS)
    asyncio.run(_follow(settings, heartbeat))
    return 0


async def _follow(settings: Settings, heartbeat: Heartbeat) -> None:
    if not cells.available():
        _log.warning("insight.no_cells", why="the package h3 is not installed: no heat maps")
    numbers = FollowerNumbers()
    metrics = RoleMetrics("insight", settings, numbers.put)
    await run_until_stopped(partial(_work, settings, numbers), heartbeat, metrics)


async def _work(settings: Settings, numbers: FollowerNumbers, stopping: asyncio.Event) -> None:
    """Follow each database by itself: one that is away stops no other."""
    urls = settings.databases
    each = zip(seats(len(urls)), urls, strict=True)
    await asyncio.gather(*(_follow_one(settings, numbers, s, url, stopping) for s, url in each))


async def _follow_one(
    settings: Settings, numbers: FollowerNumbers, seat: Seat, url: str, stopping: asyncio.Event
) -> None:
    if seat != ONLY:
        log.bind(database=seat.number + 1)
        # One that is away from the beginning is behind, too.
        numbers.turned(seat.number, 0, 0, through_s=time.monotonic())
    connect_home = partial(connect, settings.database_url, Seat(0, seat.databases))
    events = None if seat.is_home else HomeEvents(connect_home)
    try:
        await over_connections(
            partial(connect, url, seat),
            partial(_take_turns, settings, partial(numbers.turned, seat.number), events),
            stopping,
            Repeated(_log, "insight.waiting"),
            RETRY,
        )
    finally:
        if events is not None:
            events.close()


async def _take_turns(
    settings: Settings,
    turned: Callable[..., None],
    events: HomeEvents | None,
    connection: asyncpg.Connection,
    well: Callable[[], None],
) -> None:
    rules = rules_of(settings)
    follower = follower_over(connection, settings)
    shares = Shares(connection, LOCK_CLASS, SHARES)
    while True:
        begin_s = time.monotonic()
        await adopt(connection, rules)
        held = await shares.balance()
        more = await follower.turn(held) if held else False
        await tell_silent(connection, held, settings.gap_s)
        if held:
            turned(*follower.take_counts(), through_s=begin_s - INSIGHT_LAG_S)
        if events is not None:
            await events.bring(connection)
        well()
        if not more:
            await asyncio.sleep(max(0.0, begin_s + TURN_S - time.monotonic()))
