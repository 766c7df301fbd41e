"""`fleetline insight`: follows the history until a stop signal. Slower than anything else: it runs
at a low priority, on a connection of its own, and nobody waits for it.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import asyncpg

from common.backoff import Backoff
from common.geo import cells
from common.log import Repeated, get
from common.metrics.role import RoleMetrics
from common.processes.background import keep_beating
from common.processes.heartbeat import Heartbeat
from common.settings import Settings
from common.settings.insight import INSIGHT_LAG_S
from consumers.insight.database import Database, connect
from consumers.insight.fold.rules import Rules
from consumers.insight.follower import Follower
from consumers.insight.numbers import FollowerNumbers
from consumers.insight.rebuild import adopt
from consumers.insight.shares import LOCK_CLASS, SHARES
from consumers.insight.trip_news import tell_silent
from consumers.shares import Shares

# From the beginning of a turn to the next one's. Together with INSIGHT_LAG_S and two turns' work
# on a busy machine, results are at most 30 s behind.
TURN_S = 8.0
# Live and history go first where cores are short.
NICENESS = 10
RETRY = Backoff(first_s=0.5, most_s=5.0)
# Between two tries to end what is under way when the role stops.
STOP_STEP_S = 0.5
# What a database that is away or restarts answers with.
DATABASE_TROUBLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

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
    os.nice(NICENESS)
    asyncio.run(_follow(settings, heartbeat))
    return 0


async def _follow(settings: Settings, heartbeat: Heartbeat) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if not cells.available():
        _log.warning("insight.no_cells", why="the package h3 is not installed: no heat maps")
    numbers = FollowerNumbers()
    metrics = asyncio.create_task(RoleMetrics("insight", settings, numbers.put).run())
    work = asyncio.create_task(_work(settings, stopping, numbers))
    stop = asyncio.create_task(stopping.wait())
    beats = asyncio.create_task(keep_beating(heartbeat))
    await asyncio.wait((work, stop, beats), return_when=asyncio.FIRST_COMPLETED)
    # What is under way is rolled back, and done again by the next process.
    stopping.set()
    while not work.done():
        # More than once: a transaction that is cut off can answer with an error of its own.
        work.cancel()
        await asyncio.wait((work,), timeout=STOP_STEP_S)
    beats.cancel()
    metrics.cancel()
    if not work.cancelled():
        work.result()


async def _work(settings: Settings, stopping: asyncio.Event, numbers: FollowerNumbers) -> None:
    trouble = Repeated(_log, "insight.waiting")
    attempt = 0
    while not stopping.is_set():
        try:
            connection = await connect(settings.database_url)
            try:
                attempt = 0
                await _turns(connection, settings, trouble, numbers)
            finally:
                connection.terminate()
        except DATABASE_TROUBLE as e:
            trouble.failed(error=str(e) or type(e).__name__)
        await asyncio.sleep(RETRY.delay_s(attempt))
        attempt += 1


async def _turns(
    connection: asyncpg.Connection,
    settings: Settings,
    trouble: Repeated,
    numbers: FollowerNumbers,
) -> None:
    rules = rules_of(settings)
    follower = follower_over(connection, settings)
    shares = Shares(connection, LOCK_CLASS, SHARES)
    while True:
        begin_s = time.monotonic()
        if await adopt(connection, rules):
            await asyncio.sleep(INSIGHT_LAG_S)
        held = await shares.balance()
        more = await follower.turn(held) if held else False
        await tell_silent(connection, held, settings.gap_s)
        if held:
            numbers.turned(*follower.take_counts(), through_s=begin_s - INSIGHT_LAG_S)
        trouble.healed()
        if not more:
            await asyncio.sleep(max(0.0, begin_s + TURN_S - time.monotonic()))
