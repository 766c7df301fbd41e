"""What the sender says to the database: what is due, and what came of it. Holds no rules.

Its commits need not be on disk at once: what a crash of the database takes back is sent again.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

import asyncpg

from common.events.happening import Happening, HappeningType
from common.events.record import happening_of, lock, record
from common.webhooks.trouble import Trouble
from consumers.hooks.outcome import Attempt

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
# No statement reads more than some thousand rows.
STATEMENT_TIMEOUT_S = 20.0
# Connections beside the one that holds the shares; webhooks take turns for milliseconds.
CONNECTIONS_MAX = 4
_SQL = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in files(__package__).joinpath("sql").iterdir()
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it is now. `seeds`: what signs, newest first."""

    hook: int
    webhook_id: str
    url: str
    active: bool
    seeds: tuple[bytes, ...]
    failing: bool
    removed: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits to be sent. `left_s`: how long it is tried yet. No body: `trouble` says why."""

    delivery_id: int
    event_id: str
    attempts: int
    left_s: float
    body: bytes | None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of an attempt; `delay_s` is the time to the next one, where there is one."""

    delivery_id: int
    attempt: Attempt
    delay_s: float | None

    @property
    def state(self) -> str:
        """The state of the delivery."""
        if self.attempt.trouble is None:
            return "delivered"
        return "dead" if self.delay_s is None else "waiting"


_SERVER = {"application_name": "fleetline-hooks", "synchronous_commit": "off", "jit": "off"}


async def connect(url: str) -> asyncpg.Connection:
    """A connection that holds shares and hears notifications."""
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S,
        server_settings=_SERVER,
    )


class WebhookOutbox:
    """Statements over a small pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> "WebhookOutbox":
        """Connect. Raises what asyncpg raises."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings=_SERVER,
        )
        return cls(pool)

    async def close(self) -> None:
        """Close all connections, in order where the database still answers."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    async def webhooks(self) -> list[Webhook]:
        """All there are, and those whose deliveries are still to be removed."""
        return [
            Webhook(
                hook=row["hook"],
                webhook_id=row["webhook_id"],
                url=row["url"],
                active=row["active"],
                seeds=tuple(filter(None, (row["seed"], row["previous_seed"]))),
                failing=row["failing"],
                removed=row["removed"],
            )
            for row in await self._pool.fetch(_SQL["webhooks"])
        ]

    async def due(
        self, hook: int, busy: Sequence[int], limit: int
    ) -> tuple[list[Delivery], float | None]:
        """Deliveries that may be sent now, the longest due first: at most one of each driver, and
        none whose number is in `busy`. And the seconds until something more is due, if ever.
        """
        rows = await self._pool.fetch(_SQL["due"], hook, busy, limit)
        found = [_delivery_of(row) for row in rows if row["delivery_id"] is not None]
        return found, rows[0]["next_due_s"]

    async def settle(self, settlements: Collection[Settlement]) -> None:
        """Write what attempts came to. A delivery that no longer waits is left as it is."""
        rows = [
            (
                s.delivery_id,
                s.state,
                s.attempt.trouble,
                s.attempt.status,
                s.attempt.took_ms,
                s.delay_s,
            )
            for s in settlements
        ]
        await self._pool.execute(_SQL["settle"], *zip(*rows, strict=True))

    async def hasten(self, hook: int) -> None:
        """Let everything that failed be due now: the receiver is back."""
        await self._pool.execute(_SQL["hasten"], hook)

    async def note_health(self, hook: int, *, failing: bool) -> float:
        """Note that the last attempts failed, or not; seconds since the first that failed."""
        since: float | None = await self._pool.fetchval(_SQL["note_health"], hook, failing)
        return since or 0.0

    async def switch_off(self, hook: int, reason: str) -> bool:
        """Switch a webhook off and record that as an event; whether it was on."""
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(cast("asyncpg.Connection", connection))
            await connection.execute("SET LOCAL synchronous_commit = on")
            row = await connection.fetchrow(_SQL["switch_off"], hook, reason)
            if row is None:
                return False
            happening = Happening(
                type=HappeningType.WEBHOOK_DISABLED,
                at=row["disabled_at"],
                data={"webhook_id": row["webhook_id"], "reason": reason},
                key=f"{hook} {row['disabled_at'].isoformat()}",
            )
            await record(cast("asyncpg.Connection", connection), [happening])
        return True

    async def note_sender(self) -> float:
        """Note that a sender is there; seconds since one was last."""
        away_s: float = await self._pool.fetchval(_SQL["note_sender"])
        return away_s

    async def run(self, name: str, *arguments: object) -> int:
        """One of the chores' statements; how many rows it changed."""
        status: str = await self._pool.execute(_SQL[name], *arguments)
        return int(status.rpartition(" ")[2])


def _delivery_of(row: asyncpg.Record) -> Delivery:
    body, trouble = row["body"], None
    if body is None:
        if row["at"] is None:
            trouble = Trouble.NO_EVENT
        else:
            try:
                body = happening_of(dict(row)).encode()
            except ValueError:
                trouble = Trouble.UNREADABLE
    left_s = 0.0 if trouble is Trouble.NO_EVENT else row["left_s"]
    return Delivery(row["delivery_id"], row["event_id"], row["attempts"], left_s, body, trouble)
