"""What the sender says to the database: what is due, and what came of it. Holds no rules.

Its commits need not be on disk at once: what a crash of the database takes back is sent again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

import asyncpg

from common.databases import connecting as databases
from common.databases.connecting import ConnectionTerms
from common.databases.seat import HOME
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

    @property
    def state(self) -> str:
        """On, failing or off."""
        return ("failing" if self.failing else "on") if self.active else "off"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits to be sent. `age_s`: since it was put into the outbox; `left_s`: how long it is
    tried yet. No body: `trouble` says why.
    """

    delivery_id: int
    event_id: str
    attempts: int
    age_s: float
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


_TERMS = ConnectionTerms(
    "fleetline-hooks",
    CONNECT_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    session={"synchronous_commit": "off", "jit": "off"},
    seat=HOME,
    needs_session="fleetline hooks",
)


async def connect(url: str) -> asyncpg.Connection:
    """A connection that holds shares and hears notifications."""
    return await databases.connect(url, _TERMS)


class WebhookOutbox:
    """Statements over a small pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> "WebhookOutbox":
        """Connect. Raises what asyncpg raises."""
        pool = await databases.create_pool(
            url, _TERMS, connections_min=1, connections_max=CONNECTIONS_MAX
        )
        return cls(pool)

    async def close(self) -> None:
        """Close all connections, in order where the database still answers."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._pool.acquire()
        try:
            yield cast("asyncpg.Connection", connection)
        except BaseException:
            # What it was doing is unknown, so it cannot be put in order and used again.
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._connection() as connection:
            return await connection.fetch(_SQL[name], *arguments)

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
            for row in await self._fetch("webhooks")
        ]

    async def due(
        self, hook: int, busy: Sequence[int], limit: int
    ) -> tuple[list[Delivery], float | None]:
        """Deliveries that may be sent now, the longest due first: at most one of each driver, and
        none whose number is in `busy`. And the seconds until something more is due, if ever.
        """
        rows = await self._fetch("due", hook, busy, limit)
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
        await self.run("settle", *zip(*rows, strict=True))

    async def hasten(self, hook: int) -> None:
        """Let everything that failed be due now: the receiver is back."""
        await self.run("hasten", hook)

    async def note_health(self, hook: int, *, failing: bool) -> float:
        """Note that the last attempts failed, or not; seconds since the first that failed."""
        rows = await self._fetch("note_health", hook, failing)
        return (rows[0][0] if rows else None) or 0.0

    async def switch_off(self, hook: int, reason: str) -> bool:
        """Switch a webhook off and record that as an event; whether it was on."""
        async with self._connection() as connection, connection.transaction():
            await lock(connection)
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
            await record(connection, [happening])
        return True

    async def note_sender(self) -> float:
        """Note that a sender is there; seconds since one was last."""
        away_s: float = (await self._fetch("note_sender"))[0][0]
        return away_s

    async def run(self, name: str, *arguments: object) -> int:
        """One of the statements that only change rows; how many it changed."""
        async with self._connection() as connection:
            status = await connection.execute(_SQL[name], *arguments)
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
    return Delivery(
        row["delivery_id"], row["event_id"], row["attempts"], row["age_s"], left_s, body, trouble
    )
