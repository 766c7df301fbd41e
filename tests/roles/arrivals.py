"""The role arrivals in a test's own loop: orders, drivers, and what customers are told."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson

from common.arrivals.arrival import Arrival, decode_arrival
from common.event import LocationUpdate, encode_event
from common.keys import order_arrival_key, order_key, shard_keys, shard_of
from common.orders import store
from common.orders.book import OrderBook
from common.orders.order import Order, decode_order_update
from common.orders.states import DeliveryState
from common.redis.client import new_async_client
from common.settings import load_settings
from consumers.arrivals.rounds import PARTS
from consumers.arrivals.serve import ArrivalsRole
from tests.clients.listening import listening

DROPOFF = {"latitude": 53.42, "longitude": -2.90}
# Straight north of the drop-off, some 2.2 km.
HERE = (53.44, -2.90)


class Arrivals:
    """One role, and what is around it."""

    def __init__(self, role: ArrivalsRole, client: Any, database: asyncpg.Connection) -> None:
        self.role = role
        self.redis = client
        self.database = database
        self.book = OrderBook(role.nodes, position_ttl_s=86_400)

    async def put(self, order_id: str, **fields: object) -> Order:
        """Register or change an order, as ingest does."""
        update = decode_order_update(orjson.dumps(fields))
        stored = await store.put(self.database, order_id, update, datetime.now(UTC))
        await self.book.write([stored.order])
        return stored.order

    async def move(self, order_id: str, state: DeliveryState, at: datetime | None = None) -> None:
        """Bring it into a state."""
        when = at or datetime.now(UTC)
        order = await store.move(self.database, order_id, state, when, cause="api")
        assert order is not None
        await self.book.write([order])

    async def drive(
        self, driver: str, here: tuple[float, float] = HERE, at: datetime | None = None
    ) -> None:
        """The driver's newest position, as the live stage leaves it."""
        when = at or datetime.now(UTC)
        event = encode_event(driver, LocationUpdate(*here), when, when)
        await self.redis.hset(
            shard_keys("driver-locations", shard_of(driver, 4), 4).live, driver, event
        )

    async def turn(self) -> None:
        """Look at all orders once."""
        for _ in PARTS:
            await self.role.look()

    def forget_what_was_said(self) -> None:
        """What is computed next is kept, and told if it moved, without the pauses between."""
        for book in self.role.rounds.orders._books:
            for followed in book.values():
                followed._said_s = followed._kept_s = float("-inf")

    async def kept(self, order_id: str) -> Arrival | None:
        """The arrival that Redis has for who asks."""
        return decode_arrival(await self.redis.get(order_arrival_key(order_id)))

    @contextlib.asynccontextmanager
    async def watching(self, order_id: str) -> AsyncIterator[Callable[[], Any]]:
        """What is published of an order: each call gives what came since the last."""
        async with listening(self.redis, order_key(order_id)) as channel:

            async def came() -> list[Arrival]:
                found = []
                while message := await channel.message(timeout_s=0.05):
                    arrival = decode_arrival(message)
                    assert arrival is not None
                    found.append(arrival)
                return found

            await came()
            yield came


@contextlib.asynccontextmanager
async def arrivals(
    redis_url: str, database_url: str, **settings: object
) -> AsyncIterator[Arrivals]:
    """A role that looks when it is told to."""
    known = load_settings(redis_url=redis_url, database_url=database_url, **settings)
    role = ArrivalsRole(known)
    await role.nodes.start()
    try:
        async with new_async_client(redis_url, decode=False) as client:
            database = await asyncpg.connect(database_url)
            try:
                yield Arrivals(role, client, database)
            finally:
                await database.close()
    finally:
        await role.close()


def ago(seconds: float) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - timedelta(seconds=seconds)
