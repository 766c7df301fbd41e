"""`fleetline hooks`: sends webhooks until a stop signal."""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import asyncpg

from common.backoff import Backoff
from common.errors import ConfigError
from common.log import Repeated, get
from common.metrics.role import RoleMetrics
from common.processes.background import keep_beating
from common.processes.heartbeat import Heartbeat
from common.settings import Settings
from common.webhooks.limits import WEBHOOKS_MAX
from common.webhooks.secret import SecretKeys
from consumers.hooks.numbers import SenderNumbers
from consumers.hooks.outbox import WebhookOutbox, connect

RETRY = Backoff(first_s=0.5, most_s=5.0)
# A connection that lasted so long was a good one.
LASTING_S = 10.0
# Between two tries to end what is under way once the deadline of a stop has passed.
STOP_STEP_S = 0.5
# What a database that is away or restarts answers with; and a connection that was cut while one
# statement was being given up.
DATABASE_TROUBLE = (
    *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,
)
NOT_INSTALLED = "webhooks need the package aiohttp: pip install 'fleetline[webhooks]'"

_log = get("hooks")


def available() -> bool:
    """Whether the packages of the extra `webhooks` are installed."""
    return find_spec("aiohttp") is not None


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Send until SIGTERM or SIGINT. Returns the exit status. Raises `ConfigError`."""
    if not available():
        raise ConfigError(NOT_INSTALLED)
    asyncio.run(_send(settings, heartbeat))
    return 0


async def _send(settings: Settings, heartbeat: Heartbeat) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    use_lookup_threads()
    numbers = SenderNumbers()
    metrics = asyncio.create_task(RoleMetrics("hooks", settings, numbers.put).run())
    work = asyncio.create_task(_work(settings, stopping, numbers))
    stop = asyncio.create_task(stopping.wait())
    beats = asyncio.create_task(keep_beating(heartbeat))
    await asyncio.wait((work, stop, beats), return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    # What is on its way comes to its end, if it does so in time; else it is sent again.
    await asyncio.wait((work,), timeout=settings.drain_timeout_s)
    while not work.done():
        work.cancel()
        await asyncio.wait((work,), timeout=STOP_STEP_S)
    beats.cancel()
    metrics.cancel()
    if not work.cancelled():
        work.result()


def use_lookup_threads() -> None:
    """Let each webhook's name be looked up in a thread of its own.

    A name server that does not answer holds a thread for many seconds; Python's default of a few
    threads would let a few such names stop all webhooks.
    """
    threads = ThreadPoolExecutor(WEBHOOKS_MAX, thread_name_prefix="lookup")
    asyncio.get_running_loop().set_default_executor(threads)


async def _work(settings: Settings, stopping: asyncio.Event, numbers: SenderNumbers) -> None:
    trouble = Repeated(_log, "hooks.waiting")
    attempt = 0
    while not stopping.is_set():
        begin_s = time.monotonic()
        try:
            await _send_while_connected(settings, stopping, trouble, numbers)
        except* DATABASE_TROUBLE as group:
            first = _first(group)
            trouble.failed(error=str(first) or type(first).__name__)
        if not stopping.is_set():
            attempt = 0 if time.monotonic() - begin_s > LASTING_S else attempt + 1
            await asyncio.sleep(RETRY.delay_s(attempt))


async def _send_while_connected(
    settings: Settings, stopping: asyncio.Event, trouble: Repeated, numbers: SenderNumbers
) -> None:
    # Here, because it needs the client's package.
    from consumers.hooks.dispatch import Dispatch  # noqa: PLC0415

    connection = await connect(settings.database_url)
    try:
        outbox = await WebhookOutbox.open(settings.database_url)
        try:
            trouble.healed()
            dispatch = Dispatch(
                connection,
                outbox,
                SecretKeys(settings.webhook_keys()),
                numbers,
                private=settings.webhook_private == "on",
            )
            await dispatch.run(stopping)
        finally:
            await outbox.close()
    finally:
        connection.terminate()


def _first(group: BaseExceptionGroup) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
