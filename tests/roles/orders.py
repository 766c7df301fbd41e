"""What a backend does to orders, and live workers of two shards that show them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from common.event import LocationUpdate, decode_event, encode_event
from common.keys import (
    order_book_key,
    order_bucket,
    order_due_key,
    order_ended_key,
    order_key,
    shard_keys,
)
from common.orders import store
from common.orders.book import OrderBook
from common.orders.book_check import BookCheck
from common.orders.keeper import OrderKeeper
from common.orders.order import Order, decode_order_update
from common.redis.nodes import Nodes
from common.redis.opening import new_nodes
from consumers.worker import Worker
from tests.roles.shard import QUICK, Shard, shard, worker_settings
from tests.wait import until

# Drivers of two shards of four.
A, B = "a", "b"
KEYS = {A: shard_keys("driver-locations", 0, 4), B: shard_keys("driver-locations", 1, 4)}
KEY, BOOK = order_key("o"), order_book_key(order_bucket("o"))
ENDED, DUE = order_ended_key("o"), order_due_key(order_bucket("o"))


def put_order(api: httpx.Client, order_id: str, **fields: object) -> httpx.Response:
    """Register or change an order over HTTP."""
    return api.put(f"orders/{order_id}", json=fields)


class Orders:
    """What a backend does to orders, and the keeper, over a shard's servers."""

    def __init__(self, it: Shard, nodes: Nodes, database_url: str) -> None:
        self.it = it
        self.book = OrderBook(nodes, position_ttl_s=86_400)
        self.check = BookCheck(nodes, self.book)
        self.database_url = database_url
        # Some seconds after all that was done: nothing is waited for.
        self.keeper = self.keeper_of(database_url)

    def keeper_of(self, database_url: str) -> OrderKeeper:
        return OrderKeeper(
            database_url,
            self.book,
            self.check,
            gap_s=900,
            now=lambda: datetime.now(UTC) + timedelta(seconds=5),
        )

    async def put(self, order_id: str = "o", *, told: bool = True, **fields: object) -> Order:
        """Register or change an order, as ingest does; not `told`: it died before Redis knew."""
        update = decode_order_update(orjson.dumps(fields))
        stored = await store.put(self.it.database, order_id, update, datetime.now(UTC))
        if told:
            await self.book.write([stored.order])
        return stored.order

    async def send(self, driver: str, order: str | None = "o") -> bytes:
        """A fix of a driver into its shard, live once this returns."""
        now = datetime.now(UTC)
        update = LocationUpdate(latitude=53.4, longitude=-2.9, order_id=order)
        sent = encode_event(driver, update, now, now)
        keys = KEYS[driver]
        await self.it.redis.xadd(keys.stream, {"e": sent})

        async def is_live() -> bool:
            return bool(await self.it.redis.hget(keys.live, driver) == sent)

        await until(is_live)
        return sent

    async def shows(self, order_id: str = "o") -> str | None:
        """The driver whose position is the order's."""
        event = await self.it.redis.get(order_key(order_id))
        return event and decode_event(event).driver_id

    async def shown_at_last(self, driver: str, order_id: str = "o") -> None:
        """The driver sends until it is shown: within a second, as promised (and a busy machine)."""

        async def is_shown() -> bool:
            await self.send(driver, order_id)
            return await self.shows(order_id) == driver

        await until(is_shown, what=f"{driver} as {order_id}'s")

    async def hidden_at_last(self, driver: str) -> None:
        """The driver sends until it is not shown any more."""

        async def is_hidden() -> bool:
            sent = await self.send(driver)
            return bool(await self.it.redis.get(KEY) != sent)

        await until(is_hidden, what=f"{driver} not as the order's")

    async def state(self) -> str:
        found = await store.read(self.it.database, "o")
        assert found is not None
        return found.state


@contextlib.asynccontextmanager
async def orders(redis_url: str, database_url: str, **settings: object) -> AsyncIterator[Orders]:
    """Workers of both shards, and what changes orders."""
    nodes = new_nodes(redis_url, reply_timeout_s=1.5, name="orders")
    async with shard(redis_url, database_url) as it:
        known = worker_settings(redis_url, database_url, **settings)
        workers = [Worker(known, n, lambda: None, QUICK) for n in range(2)]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        await nodes.start()
        made = Orders(it, nodes, database_url)
        try:
            yield made
        finally:
            await made.keeper.close()
            for worker in workers:
                worker.stop()
            await asyncio.gather(*tasks)
            await nodes.close()
