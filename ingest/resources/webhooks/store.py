"""Webhooks in the database, for the API: what is asked and changed. Raises what asyncpg raises.

Each change wakes the sender, which looks at the list anew.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

import asyncpg

from common.webhooks.limits import ROTATION_S, WEBHOOKS_MAX
from common.webhooks.request import WebhookFilter, WebhookUpdate
from common.webhooks.wake import CHANNEL

Row = Mapping[str, Any]
_SQL = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in files(__package__).iterdir()
    if file.name.endswith(".sql")
}
_INSERT = """
INSERT INTO webhooks (webhook_id, url, events, driver_id, order_id, geofence_id, active, seed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_REMOVE = """
UPDATE webhooks SET removed_at = now(), active = false
WHERE webhook_id = $1 AND removed_at IS NULL
"""
_TEST = """
INSERT INTO webhook_deliveries (hook, event_id, type, body, expires_at)
SELECT hook, $2, $3, $4, clock_timestamp() FROM webhooks
WHERE webhook_id = $1 AND active AND removed_at IS NULL
RETURNING hook
"""


async def read(connection: asyncpg.Connection, webhook_id: str | None = None) -> Sequence[Row]:
    """The webhook of that id, or all."""
    return list(map(dict, await connection.fetch(_SQL["item"], webhook_id)))


async def put(
    connection: asyncpg.Connection, webhook_id: str, update: WebhookUpdate, seed: bytes
) -> bool | None:
    """Store it; whether it is new, and then has `seed`. None: there are too many."""
    chosen = update.filter or WebhookFilter()
    values = (
        *(webhook_id, update.url, sorted(set(update.events))),
        *(chosen.driver_id, chosen.order_id, chosen.geofence_id, update.active),
    )
    async with connection.transaction():
        # Changes of the list go one by one, so that there are never more than the limit.
        await connection.execute("LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE")
        is_new = await connection.execute(_SQL["put"], *values) == "UPDATE 0"
        if is_new:
            count = await connection.fetchval(
                "SELECT count(*) FROM webhooks WHERE removed_at IS NULL"
            )
            if count >= WEBHOOKS_MAX:
                return None
            await connection.execute(_INSERT, *values, seed)
        else:
            # What failed is due again: perhaps this is the change that it waited for.
            await connection.execute(_SQL["hasten"], webhook_id)
        await _wake(connection)
    return is_new


async def remove(connection: asyncpg.Connection, webhook_id: str) -> bool:
    """Delete it; whether there was one. The sender removes its deliveries."""
    async with connection.transaction():
        await _wake(connection)
        return bool(await connection.execute(_REMOVE, webhook_id) != "UPDATE 0")


async def rotate(connection: asyncpg.Connection, webhook_id: str, seed: bytes) -> datetime | None:
    """Give it a new secret; until when the old one signs too. None: there is no such webhook."""
    async with connection.transaction():
        await _wake(connection)
        until: datetime | None = await connection.fetchval(
            _SQL["rotate"], webhook_id, seed, ROTATION_S
        )
    return until


async def test(
    connection: asyncpg.Connection, webhook_id: str, event_id: str, kind: str, body: bytes
) -> bool:
    """Put a delivery of its own into the outbox, tried once; whether the webhook is switched on."""
    async with connection.transaction():
        hook = await connection.fetchval(_TEST, webhook_id, event_id, kind, body)
        if hook is not None:
            await _wake(connection, str(hook))
    return hook is not None


async def deliveries(
    connection: asyncpg.Connection,
    webhook_id: str,
    states: Sequence[str],
    before: int,
    limit: int,
) -> Sequence[Row]:
    """Deliveries in these states, the newest before a number first."""
    rows = await connection.fetch(_SQL["deliveries"], webhook_id, states, before, limit)
    return list(map(dict, rows))


async def _wake(connection: asyncpg.Connection, what: str = "") -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, what)
