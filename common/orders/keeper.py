"""Keeps the books in Redis and the orders in the database the same, whoever died in between.

One process does it at a time: it holds an advisory lock for as long as its connection lives. Each
round, about twice a second:

1. what has ended in Redis while the database was away is stored there;
2. orders that were changed are told to Redis again, and the workers know of the change by then:
   what another driver's worker wrote before it knew is dropped, within the second of the promise;
3. books that Redis has lost are made again, with the markers of orders that are over;
4. one book is compared with the database, the next one in the next round;
5. the distances of orders that are over are added up.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import hiredis

from common.contract import ORDER_ENDED_TTL_S
from common.databases.connecting import ConnectionTerms, connect, is_pooled
from common.databases.seat import HOME
from common.errors import ConfigError, Overloaded
from common.keys import ORDER_BUCKETS
from common.log import get
from common.orders import store
from common.orders.book import OrderBook
from common.orders.book_check import BookCheck
from common.orders.driven import DrivenDistance
from common.orders.journey import DRIVERS, PAGE_FIXES, DriverSpan, Fetch, JourneyReader, spans
from common.orders.row import order_of
from common.orders.states import DeliveryState

_log = get("orders")

ROUND_S = 0.5
# Whoever changed an order has told Redis itself by then, and live workers, who look for changes
# four times a second, know of it.
SETTLE = timedelta(seconds=0.5)
# Late fixes of a courier who was offline at the door have come by then.
CLOSE_AFTER = timedelta(minutes=2)
# Orders that are read and written in one go, in about 3 ms: the worker takes fixes in between.
ORDERS_AT_ONCE = 100
# Such pages of changed orders in one round.
PAGES_MAX = 20
CLOSED_AT_ONCE = 5
# Of orders whose fixes cannot be read now, so many are passed over in a round.
PASSED_MAX = 50
# Any number that nothing else in the database uses: "orders" as bytes.
ADVISORY_KEY = 0x6F7264657273
TIMEOUT_S = 5.0
_TERMS = ConnectionTerms("fleetline-orders", TIMEOUT_S, TIMEOUT_S, seat=HOME)

_UNTOLD = f"{store.SELECT} WHERE NOT told AND updated_at < $1 ORDER BY updated_at LIMIT $2"
# What somebody changes at this moment is passed over: it is untold again, and nobody waits.
_TOLD = """
UPDATE orders SET told = true WHERE order_id IN (
    SELECT order_id FROM orders JOIN unnest($1::text[], $2::bigint[]) AS t (id, seen)
    ON order_id = t.id AND version = t.seen
    FOR UPDATE OF orders SKIP LOCKED
)
"""
_ACTIVE = f"{store.SELECT} WHERE bucket = ANY($1::smallint[]) AND over_at IS NULL"
_OVER = f"{store.SELECT} WHERE bucket = ANY($1::smallint[]) AND over_at > $2"
_VERSIONS = "SELECT order_id, version FROM orders WHERE bucket = $1 AND over_at IS NULL"
_NAMED = f"{store.SELECT} WHERE order_id = ANY($1::text[])"
_CLOSING = (
    f"{store.SELECT} WHERE closing AND updated_at < $1 ORDER BY updated_at LIMIT $2 OFFSET $3"
)
_CLOSE = "UPDATE orders SET closing = false, distance_m = $2 WHERE order_id = $1"


class OrderKeeper:
    """Connects when it is first needed, and again after trouble.

    `fixes` reads the history where that is not all in this database.
    """

    def __init__(
        self,
        database_url: str,
        book: OrderBook,
        check: BookCheck,
        *,
        gap_s: float,
        fixes: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = database_url
        self._book = book
        self._check = check
        self._gap_s = gap_s
        self._fixes = fixes
        self._now = now
        self._connection: asyncpg.Connection | None = None
        self._locking: asyncpg.Connection | None = None
        self._is_keeper = False
        self._next_bucket = 0

    async def round(self) -> None:
        """One round, if this is the keeper. Raises `Overloaded`, `hiredis.ReplyError`."""
        try:
            connection = await self._connected()
            if is_pooled(connection):
                async with self._keeper_for_a_round() as is_keeper:
                    if is_keeper:
                        await self._keep(connection)
                return
            if not self._is_keeper:
                self._is_keeper = await connection.fetchval(
                    "SELECT pg_try_advisory_lock($1)", ADVISORY_KEY
                )
            if self._is_keeper:
                await self._keep(connection)
        except (
            *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
            # Another database than it must be.
            ConfigError,
        ) as e:
            await self.close()
            raise Overloaded(f"the database: {str(e) or type(e).__name__}") from e

    async def close(self) -> None:
        """Leave it to others."""
        self._is_keeper = False
        for connection in (self._connection, self._locking):
            if connection is not None:
                connection.terminate()
        self._connection = self._locking = None

    @contextlib.asynccontextmanager
    async def _keeper_for_a_round(self) -> AsyncIterator[bool]:
        """Behind a pooler that keeps no session a transaction beside the work holds the lock."""
        if self._locking is None or self._locking.is_closed():
            self._locking = await connect(self._url, _TERMS)
        async with self._locking.transaction():
            yield await self._locking.fetchval("SELECT pg_try_advisory_xact_lock($1)", ADVISORY_KEY)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._is_keeper = False
            self._connection = await connect(self._url, _TERMS)
        return self._connection

    async def _keep(self, connection: asyncpg.Connection) -> None:
        steps = (self._settle, self._tell, self._restore, self._compare, self._close_journeys)
        refused: hiredis.ReplyError | Overloaded | None = None
        for step in steps:
            try:
                await step(connection)
            except (hiredis.ReplyError, Overloaded) as e:
                # A full Redis, a key that somebody made by hand, a server of a cluster that is
                # away: the other steps go on.
                refused = refused or e
        if refused is not None:
            raise refused

    async def _settle(self, connection: asyncpg.Connection) -> None:
        for order_id, at in (await self._check.due()).items():
            await store.move(connection, order_id, DeliveryState.DELIVERED, at, cause="api")
            await self._book.settled(order_id)

    async def _tell(self, connection: asyncpg.Connection) -> None:
        for _ in range(PAGES_MAX):
            rows = await connection.fetch(_UNTOLD, self._now() - SETTLE, ORDERS_AT_ONCE)
            orders = [order_of(row) for row in rows]
            told = [order for order in orders if self._book.reaches(order.order_id)]
            if told:
                await self._book.write(told)
                versions = [order.version for order in told]
                await connection.execute(_TOLD, [order.order_id for order in told], versions)
            if len(told) < len(orders):
                return
            if len(orders) < ORDERS_AT_ONCE:
                return

    async def _restore(self, connection: asyncpg.Connection) -> None:
        """Write books that were lost, and the markers of what is over: they may be lost, too."""
        buckets = await self._check.lost()
        if not buckets:
            return
        since = self._now() - timedelta(seconds=ORDER_ENDED_TTL_S)
        for sql, args in ((_OVER, (buckets, since)), (_ACTIVE, (buckets,))):
            async with connection.transaction():
                rows = await connection.cursor(sql, *args)
                while page := await rows.fetch(ORDERS_AT_ONCE):
                    await self._book.write([order_of(row) for row in page], announced=False)
        await self._check.complete(buckets)
        _log.info("orders.books_restored", buckets=len(buckets))

    async def _compare(self, connection: asyncpg.Connection) -> None:
        """Mend what differs in the next book. It is read first: what it has was committed."""
        bucket = self._next_bucket
        self._next_bucket = (bucket + 1) % ORDER_BUCKETS
        there = await self._check.versions(bucket)
        active = await connection.fetch(_VERSIONS, bucket)
        names = [r["order_id"] for r in active if there.pop(r["order_id"], -1) < r["version"]]
        names += there
        for first in range(0, len(names), ORDERS_AT_ONCE):
            rows = await connection.fetch(_NAMED, names[first : first + ORDERS_AT_ONCE])
            await self._book.write([order_of(row) for row in rows])
            there = {name: there[name] for name in there.keys() - {r["order_id"] for r in rows}}
        await self._check.drop(there)

    async def _close_journeys(self, connection: asyncpg.Connection) -> None:
        passed = 0
        away: Overloaded | None = None
        while passed < PASSED_MAX:
            before = passed
            old = self._now() - CLOSE_AFTER
            for row in await connection.fetch(_CLOSING, old, CLOSED_AT_ONCE, passed):
                order = order_of(row)
                drivers = await connection.fetch(DRIVERS, order.order_id)
                found = spans(order, drivers, self._now())
                try:
                    metres = await driven_m(
                        self._fixes or connection.fetch, order.order_id, found, self._gap_s
                    )
                except Overloaded as e:
                    # Its driver's database is away; other drivers' may be there.
                    away, passed = e, passed + 1
                    continue
                await connection.execute(_CLOSE, row["order_id"], metres)
            if passed == before:
                break
        if away is not None:
            raise away


async def driven_m(
    fetch: Fetch, order_id: str, drivers: Sequence[DriverSpan], gap_s: float
) -> float | None:
    """Metres that were driven for an order so far; None when no fix is its."""
    columns = ("recorded_at", "latitude", "longitude", "accuracy")
    reader = JourneyReader(fetch, order_id, columns)
    metres, fixes = 0.0, 0
    for span in drivers:
        driven = DrivenDistance(gap_s)
        after, named = await reader.first(span)
        while not reader.is_full:
            rows = await reader.page(span, after, named)
            for row in rows:
                driven.add(*row)
            if len(rows) < PAGE_FIXES:
                break
            after = rows[-1]["recorded_at"]
            await asyncio.sleep(0)
        metres += driven.metres
        fixes += driven.fixes
    return metres if fixes else None
