"""What the tests of the sender share: webhooks, events, and a sender in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from common.events.happening import Happening, HappeningType
from common.events.record import record
from common.webhooks.secret import SecretKeys, shown
from consumers.hooks.dispatch import Dispatch
from consumers.hooks.numbers import SenderNumbers
from consumers.hooks.outbox import WebhookOutbox, connect
from consumers.hooks.serve import use_lookup_threads
from tests.wait import until

KEYS = SecretKeys(["k" * 32])
EVERYTHING = [kind.value for kind in HappeningType]
# Columns of times in the outbox, for those who move them.
TIMES = ("created_at", "due_at", "expires_at")


async def add_webhook(
    connection: asyncpg.Connection, name: str, url: str, events: list[str] = EVERYTHING, **more: Any
) -> tuple[int, str]:
    """Its number, and its secret as its owner knows it."""
    seed = KEYS.new_seed()
    row = {"webhook_id": name, "url": url, "events": events, "active": True, "seed": seed, **more}
    places = ", ".join(f"${place + 1}" for place in range(len(row)))
    hook = await connection.fetchval(
        f"INSERT INTO webhooks ({', '.join(row)}) VALUES ({places}) RETURNING hook", *row.values()
    )
    await connection.execute("SELECT pg_notify('fleetline_webhooks', '')")
    return hook, shown(KEYS.secret(seed))


def happenings(driver: str, count: int, first: int = 0) -> list[Happening]:
    """Events of one driver, each a second after the one before."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    return [
        Happening(
            type=HappeningType.FENCE_ENTER,
            driver_id=driver,
            geofence_id="depot",
            at=begin,
            recorded_at=begin + timedelta(seconds=n),
            data={"n": n},
        )
        for n in range(first, first + count)
    ]


async def happen(connection: asyncpg.Connection, events: list[Happening]) -> list[str]:
    """Store events as their finders do; their ids."""
    async with connection.transaction():
        await record(connection, events)
    return [event.event_id for event in events]


async def states(connection: asyncpg.Connection, hook: int) -> dict[str, int]:
    """How many deliveries of a webhook are in which state."""
    rows = await connection.fetch(
        "SELECT state, count(*) FROM webhook_deliveries WHERE hook = $1 GROUP BY 1", hook
    )
    return {row["state"]: row["count"] for row in rows}


async def tried(connection: asyncpg.Connection, hook: int) -> bool:
    """Whether something of a webhook was tried."""
    sql = "SELECT max(attempts) > 0 FROM webhook_deliveries WHERE hook = $1"
    return bool(await connection.fetchval(sql, hook))


async def why(connection: asyncpg.Connection, hook: int) -> str | None:
    """What went wrong with what was tried most often."""
    sql = "SELECT error FROM webhook_deliveries WHERE hook = $1 ORDER BY attempts DESC LIMIT 1"
    error: str | None = await connection.fetchval(sql, hook)
    return error


async def settled(connection: asyncpg.Connection, hook: int, timeout_s: float = 20.0) -> None:
    """Wait until nothing of a webhook waits."""

    async def none_waits() -> bool:
        return "waiting" not in await states(connection, hook)

    await until(none_waits, timeout_s=timeout_s, what="nothing to wait")


async def pass_time(connection: asyncpg.Connection, span: timedelta) -> None:
    """Let so much time have gone by, as the database sees it, and wake the sender."""
    shift = ", ".join(f"{name} = {name} - $1::interval" for name in TIMES)
    await connection.execute(f"UPDATE webhook_deliveries SET {shift}", span)
    await connection.execute(
        "UPDATE webhooks SET failing_since = failing_since - $1::interval", span
    )
    await connection.execute(
        "SELECT pg_notify('fleetline_webhooks', hook::text) FROM webhooks WHERE active"
    )


@contextlib.asynccontextmanager
async def sender(url: str, *, private: bool = True) -> AsyncIterator[Dispatch]:
    """A sender for the block; it drains at its end."""
    use_lookup_threads()
    connection = await connect(url)
    outbox = await WebhookOutbox.open(url)
    stopping = asyncio.Event()
    dispatch = Dispatch(connection, outbox, KEYS, SenderNumbers(), private=private)
    task = asyncio.create_task(dispatch.run(stopping))
    try:
        yield dispatch
    finally:
        stopping.set()
        try:
            await task
        finally:
            await outbox.close()
            connection.terminate()


def run(url: str, scenario: Callable[[asyncpg.Connection], Awaitable[Any]], **options: Any) -> Any:
    """Run a scenario with a connection, and a sender with these options."""

    async def body() -> Any:
        connection = await asyncpg.connect(url)
        try:
            async with sender(url, **options):
                return await scenario(connection)
        finally:
            await connection.close()

    return asyncio.run(body())
