"""What the roles beside the workers have in common.

Each runs until a stop signal, over connections to the database that are made again after each
trouble. Nobody waits for them, and what is cut off is done again by the next process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

from common.backoff import Backoff
from common.log import Repeated
from common.metrics.role import RoleMetrics
from common.processes.background import EXPECTED, keep_beating
from common.processes.heartbeat import Heartbeat
from common.processes.signals import set_on_stop

# What a database that is away or restarts answers with, and what Redis does.
TROUBLE = (*EXPECTED, asyncpg.PostgresError, asyncpg.InterfaceError)
# Between two tries to end what is under way when a role stops.
STOP_STEP_S = 0.5

Connect = Callable[[], Awaitable[asyncpg.Connection]]
# What is done over a connection; it calls the second each time that all is well.
Work = Callable[[asyncpg.Connection, Callable[[], None]], Awaitable[None]]


async def run_until_stopped(
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    heartbeat: Heartbeat,
    metrics: RoleMetrics,
    *,
    drain_s: float = 0.0,
) -> None:
    """Beat, tell the metrics, and do `work`, which is given the event of a stop, until that.

    Work that is then not done within `drain_s` is cancelled. Raises what it raises.
    """
    stopping = asyncio.Event()
    set_on_stop(asyncio.get_running_loop(), stopping)
    telling = asyncio.create_task(metrics.run())
    doing = asyncio.create_task(work(stopping))
    stop = asyncio.create_task(stopping.wait())
    beats = asyncio.create_task(keep_beating(heartbeat))
    await asyncio.wait((doing, stop, beats), return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    if drain_s:
        await asyncio.wait((doing,), timeout=drain_s)
    while not doing.done():
        # More than once: a transaction that is cut off can answer with an error of its own.
        doing.cancel()
        await asyncio.wait((doing,), timeout=STOP_STEP_S)
    beats.cancel()
    telling.cancel()
    if not doing.cancelled():
        doing.result()


async def over_connections(
    connect: Connect, work: Work, stopping: asyncio.Event, trouble: Repeated, retry: Backoff
) -> None:
    """Do `work` over a connection, and over another one after each trouble, until `stopping`."""
    attempt = 0

    def well() -> None:
        nonlocal attempt
        attempt = 0
        trouble.healed()

    while not stopping.is_set():
        try:
            connection = await connect()
            try:
                await work(connection, well)
            finally:
                connection.terminate()
        except TROUBLE as e:
            trouble.failed(error=str(e) or type(e).__name__)
        await asyncio.sleep(retry.delay_s(attempt))
        attempt += 1
