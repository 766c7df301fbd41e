"""`fleetline hooks`: sends webhooks until a stop signal."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import asyncpg

from common.backoff import Backoff
from common.errors import ConfigError
from common.log import Repeated, get
from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.settings import Settings
from common.webhooks.limits import WEBHOOKS_MAX
from common.webhooks.secret import SecretKeys
from consumers.hooks.numbers import SenderNumbers
from consumers.hooks.outbox import WebhookOutbox, connect
from consumers.role import TROUBLE, run_until_stopped

RETRY = Backoff(first_s=0.5, most_s=5.0)
# A connection that lasted so long was a good one.
LASTING_S = 10.0
# And a connection that was cut while one statement was being given up.
SENDER_TROUBLE = (*TROUBLE, asyncpg.InternalClientError)
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
    use_lookup_threads()
    numbers = SenderNumbers()
    await run_until_stopped(
        partial(_work, settings, numbers),
        heartbeat,
        RoleMetrics("hooks", settings, numbers.put),
        # What is on its way comes to its end, if it does so in time; else it is sent again.
        drain_s=settings.drain_timeout_s,
    )


def use_lookup_threads() -> None:
    """Let each webhook's name be looked up in a thread of its own.

    A name server that does not answer holds a thread for many seconds; Python's default of a few
    threads would let a few such names stop all webhooks.
    """
    threads = ThreadPoolExecutor(WEBHOOKS_MAX, thread_name_prefix="lookup")
    asyncio.get_running_loop().set_default_executor(threads)


async def _work(settings: Settings, numbers: SenderNumbers, stopping: asyncio.Event) -> None:
    trouble = Repeated(_log, "hooks.waiting")
    attempt = 0
    while not stopping.is_set():
        begin_s = time.monotonic()
        try:
            await _send_while_connected(settings, stopping, trouble, numbers)
        except* SENDER_TROUBLE as group:
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
