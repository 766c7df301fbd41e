"""The books in Redis and the orders in the database become the same, whoever died or was lost."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from common.errors import Overloaded
from common.keys import ORDER_CHANGES, order_bucket, order_ended_key
from common.orders import store
from common.orders.book import BOOK_ORDERS_MAX
from common.orders.states import DeliveryState
from common.redis.client import new_client
from tests.roles.orders import BOOK, DUE, ENDED, A, B, Orders
from tests.servers.ingest_server import NO_DATABASE, ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import until, wait_until


def test_it_outlives_redis(within: Any) -> None:
    """What Redis lost is put back: orders, their drivers, and which are over."""

    async def main(made: Orders) -> None:
        await made.put(driver_id=A)
        await made.put("over", driver_id=A)
        await store.move(
            made.it.database, "over", DeliveryState.DELIVERED, datetime.now(UTC), cause="api"
        )
        await made.keeper.round()
        await made.shown_at_last(A)
        await made.it.redis.delete(*[key async for key in made.it.redis.scan_iter("order*")])
        await made.it.redis.delete(ORDER_CHANGES)
        await made.keeper.round()
        assert await made.it.redis.hexists(BOOK, "o")
        assert await made.it.redis.exists(order_ended_key("over"))
        assert await made.check.lost() == []
        # A worker that knew, and one that asked while Redis knew of nothing.
        await made.shown_at_last(A)
        await made.send(B)
        assert await made.shows() == A

    within(main)


def test_live_goes_on_without_the_database(within: Any) -> None:
    async def main(made: Orders) -> None:
        await made.put(driver_id=A)
        without = made.keeper_of(NO_DATABASE)
        with pytest.raises(Overloaded):
            await without.round()
        await made.shown_at_last(A)
        await made.send(B)
        assert await made.shows() == A
        # An end is kept, and due.
        assert await made.book.end("o", datetime.now(UTC))
        assert await made.it.redis.exists(ENDED) == 1
        assert await made.state() == "assigned"
        await made.keeper.round()
        assert await made.state() == "delivered"
        assert await made.it.redis.exists(DUE) == 0
        await made.keeper.round()
        events = "SELECT count(*) FROM events WHERE type = 'order.delivered'"
        assert await made.it.database.fetchval(events) == 1

    within(main)


def test_what_died_between_database_and_redis_is_mended(within: Any) -> None:
    async def main(made: Orders) -> None:
        await made.put(driver_id=A, told=False)
        await made.keeper.round()
        await made.shown_at_last(A)
        await made.put(driver_id=B, told=False)
        await made.keeper.round()
        await made.shown_at_last(B)
        await store.move(
            made.it.database, "o", DeliveryState.CANCELLED, datetime.now(UTC), cause="api"
        )
        assert await made.it.redis.exists(ENDED) == 0
        await made.keeper.round()
        assert await made.it.redis.exists(ENDED) == 1
        assert not await made.it.redis.hexists(BOOK, "o")
        untold = await made.it.database.fetchval("SELECT count(*) FROM orders WHERE NOT told")
        assert untold == 0

    within(main)


def test_an_older_version_replaces_nothing_and_a_book_is_compared(within: Any) -> None:
    async def main(made: Orders) -> None:
        first = await made.put(driver_id=A)
        second = await made.put(driver_id=B)
        await made.book.write([first])
        assert await made.check.versions(order_bucket("o")) == {"o": second.version}
        # A hand, or a failover, took one out, and put in what there is not.
        await made.keeper.round()
        await made.it.redis.hdel(BOOK, "o")
        stranger = next(
            f"x{n}" for n in range(10_000) if order_bucket(f"x{n}") == order_bucket("o")
        )
        await made.it.redis.hset(BOOK, stranger, "{}")
        for _ in range(64):
            await made.keeper.round()
        assert await made.check.versions(order_bucket("o")) == {"o": second.version}

    within(main)


def test_a_book_is_bounded(within: Any) -> None:
    async def main(made: Orders) -> None:
        assert not (await made.book.read("o")).full
        await made.it.redis.hset(BOOK, mapping={f"x{n}": "{}" for n in range(BOOK_ORDERS_MAX)})
        await made.it.redis.hset(BOOK, "o", "{}")
        assert (await made.book.read("o")).full

    within(main)


def test_one_keeper_works_at_a_time(within: Any) -> None:
    async def main(made: Orders) -> None:
        other = made.keeper_of(made.database_url)
        await made.keeper.round()
        await made.put(driver_id=A, told=False)
        await other.round()
        assert not await made.it.redis.hexists(BOOK, "o")
        await made.keeper.close()

        async def took_over() -> bool:
            await other.round()
            return bool(await made.it.redis.hexists(BOOK, "o"))

        await until(took_over)
        await other.close()

    within(main)


def test_without_the_database_orders_are_read_and_ended(
    redis_server: AnyRedis, database_url: str
) -> None:
    """One ingest that reaches the database, and one that does not."""
    with (
        ingest(REDIS_URL=redis_server.url, DATABASE_URL=database_url) as server,
        ingest(REDIS_URL=redis_server.url) as cut_off,
    ):
        whole, cut = f"{server.url}/api/v1/orders", f"{cut_off.url}/api/v1/orders"
        wait_until(lambda: httpx.get(f"{cut_off.url}/health").status_code == 200)
        wait_until(lambda: httpx.put(f"{whole}/o", json={"driver_id": A}).is_success)
        assert httpx.get(f"{cut}/o").json() == httpx.get(f"{whole}/o").json()
        for answer in (
            httpx.put(f"{cut}/o", json={"driver_id": B}),
            httpx.post(f"{cut}/o/state", json={"state": "arriving"}),
            httpx.get(cut),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"].isdigit()
        assert httpx.post(f"{cut}/o/complete").status_code == 202
        wait_until(lambda: httpx.get(f"{whole}/o").json()["state"] == "delivered")


def test_a_backend_that_is_killed_between_database_and_redis(
    redis_server: AnyRedis, database_url: str
) -> None:
    """The row is committed, Redis stands still, and ingest is killed before it can tell."""

    async def stored() -> int:
        connection = await asyncpg.connect(database_url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM orders"))
        finally:
            await connection.close()

    def put(url: str) -> None:
        with contextlib.suppress(httpx.TransportError):
            httpx.put(f"{url}/api/v1/orders/o", json={"driver_id": A}, timeout=20)

    known = {"REDIS_URL": redis_server.url, "DATABASE_URL": database_url}
    with ingest(**known) as server:
        wait_until(lambda: httpx.get(f"{server.url}/health").status_code == 200)
        redis_server.freeze()
        try:
            asking = threading.Thread(target=put, args=(server.url,))
            asking.start()
            wait_until(lambda: asyncio.run(stored()) == 1)
            for process in (*server.process.children(recursive=True), server.process):
                process.kill()
            asking.join()
        finally:
            redis_server.thaw()
    with new_client(redis_server.url, decode=False) as client:
        assert not client.hexists(BOOK, "o")
        with ingest(**known):
            wait_until(lambda: client.hexists(BOOK, "o"))
