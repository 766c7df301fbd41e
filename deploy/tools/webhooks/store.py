"""What `fleetline webhooks` asks of the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from common.webhooks.limits import RETRY_S
from common.webhooks.wake import CHANNEL

Rows = Sequence[Mapping[str, Any]]

_WEBHOOKS = """
SELECT
    w.webhook_id,
    CASE
        WHEN w.active THEN 'on'
        WHEN w.disabled_reason IS NULL THEN 'off'
        ELSE 'off: ' || w.disabled_reason
    END AS state,
    w.url, w.events, w.failing_since, w.disabled_at, w.created_at,
    count(d.hook) FILTER (WHERE d.state = 'waiting') AS waiting,
    count(d.hook) FILTER (WHERE d.state = 'delivered') AS delivered,
    count(d.hook) FILTER (WHERE d.state = 'dead') AS dead
FROM webhooks AS w
LEFT JOIN webhook_deliveries AS d ON d.hook = w.hook
WHERE w.removed_at IS NULL
GROUP BY w.hook
ORDER BY w.webhook_id
"""
_DELIVERIES = """
SELECT
    w.webhook_id, d.delivery_id, d.event_id, d.type, d.driver_id, d.state, d.created_at,
    CASE WHEN d.state = 'waiting' THEN d.due_at END AS next_attempt_at,
    d.attempts, d.attempted_at, d.took_ms, d.status, d.error
FROM webhook_deliveries AS d
JOIN webhooks AS w ON w.hook = d.hook AND w.removed_at IS NULL
WHERE ($1::text IS NULL OR w.webhook_id = $1) AND ($2::text IS NULL OR d.state = $2)
ORDER BY d.delivery_id DESC
LIMIT $3
"""
_CHOSEN = """
FROM webhooks AS w
WHERE
    d.hook = w.hook AND w.removed_at IS NULL AND d.state = 'dead'
    AND ($1::text IS NULL OR w.webhook_id = $1)
    AND ($2::timestamptz IS NULL OR d.created_at >= $2)
"""
_REPLAY = f"""
UPDATE webhook_deliveries AS d
SET
    state = 'waiting', attempts = 0, due_at = clock_timestamp(),
    expires_at = clock_timestamp() + $3::float8 * interval '1 second'
{_CHOSEN}
"""  # noqa: S608
_COUNT = f"""
SELECT count(*) FROM webhook_deliveries AS d
WHERE EXISTS (SELECT {_CHOSEN})
"""  # noqa: S608


class NoSuchWebhook(Exception):
    """There is none of that id."""


class HookStore:
    """Questions over one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def webhooks(self) -> Rows:
        """All of them, with what their deliveries came to."""
        return list(map(dict, await self._connection.fetch(_WEBHOOKS)))

    async def deliveries(self, webhook_id: str | None, state: str | None, limit: int) -> Rows:
        """The newest. Raises `NoSuchWebhook`."""
        await self._require(webhook_id)
        rows = await self._connection.fetch(_DELIVERIES, webhook_id, state, limit)
        return list(map(dict, rows))

    async def replay(self, webhook_id: str | None, since: datetime | None, *, dry_run: bool) -> int:
        """Let the dead wait again; how many. Raises `NoSuchWebhook`."""
        await self._require(webhook_id)
        if dry_run:
            return int(await self._connection.fetchval(_COUNT, webhook_id, since))
        status = await self._connection.execute(_REPLAY, webhook_id, since, RETRY_S)
        await self._connection.execute(
            "SELECT pg_notify($1, hook::text) FROM webhooks WHERE active", CHANNEL
        )
        return int(status.rpartition(" ")[2])

    async def _require(self, webhook_id: str | None) -> None:
        known = "SELECT FROM webhooks WHERE webhook_id = $1 AND removed_at IS NULL"
        if webhook_id is not None and not await self._connection.fetch(known, webhook_id):
            raise NoSuchWebhook(webhook_id)
