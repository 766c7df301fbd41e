"""Orders that two drivers carry, in two shards; and drivers that name too many orders."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from common.event import LocationUpdate, decode_event, encode_event
from common.frame import update_frame
from common.keys import FORMAT_VERSION, order_key, shard_keys
from consumers.live import quota
from consumers.liveness import Liveness
from consumers.stream.page import ENTRIES_FIRST
from consumers.worker import Worker
from fanout.orders.hub import Channel
from fanout.sockets.protocol import text_frame
from tests.clients.listening import listening
from tests.roles.shard import (
    GROUP,
    KEYS,
    NOW,
    QUICK,
    crashing,
    payload,
    shard,
    worker_settings,
    working,
)
from tests.wait import until

OTHER = shard_keys("driver-locations", 1, 4)
KEY = order_key("o")
EXTRA = 5


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@contextlib.asynccontextmanager
async def two_workers(servers):
    """Workers of shard 0 and of shard 1."""
    workers = [Worker(worker_settings(*servers), n, lambda: None, QUICK) for n in range(2)]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*tasks)


def fix(driver, milliseconds):
    """A fix of the order, within the time in which a phone that is online delivers."""
    when = NOW + timedelta(milliseconds=milliseconds)
    return encode_event(
        driver, LocationUpdate(latitude=1.0, longitude=2.0, order_id="o"), when, when
    )


async def send(it, keys, sent):
    """Put a fix into a shard's stream and wait until it is live."""
    driver = decode_event(sent).driver_id
    await it.redis.xadd(keys.stream, {"e": sent})

    async def is_live():
        return await it.redis.hget(keys.live, driver) == sent

    await until(is_live)


def order_is(it, sent):
    async def is_so():
        return await it.redis.get(KEY) == sent

    return until(is_so)


@pytest.mark.parametrize("rounds", [1, 20])
def test_an_order_with_drivers_in_two_shards_ends_with_the_newer(servers, rounds):
    """Each worker sees only its own driver's fixes: the one that wrote last won."""

    async def main():
        async with shard(*servers) as it, two_workers(servers):
            for n in range(rounds):
                newer, older = fix("b", 100 * n + 50), fix("a", 100 * n)
                await send(it, OTHER, newer)
                # It is on its way for less than the time that makes it a late one.
                await send(it, KEYS, older)
                await order_is(it, newer)

    asyncio.run(main())


@pytest.mark.cluster_too
def test_once_it_is_known_that_two_carry_it_nothing_older_is_published(servers):
    async def main():
        async with shard(*servers) as it, two_workers(servers):
            # Both find out.
            for n in range(4):
                driver, keys = (("a", KEYS), ("b", OTHER))[n % 2]
                await send(it, keys, fix(driver, n))
            async with listening(it.redis, KEY) as channel:
                for n in range(1, 10):
                    newer, older = fix("b", 100 * n + 50), fix("a", 100 * n)
                    await send(it, OTHER, newer)
                    assert await channel.message() == newer
                    await send(it, KEYS, older)
                    assert await it.redis.get(KEY) == newer

    asyncio.run(main())


def test_customers_are_not_moved_back_by_a_worker_that_begins_anew_in_a_full_redis(servers):
    """Redis refused the positions, and the place in the stream, though not the messages."""
    sent = [fix("a", n) for n in range(ENTRIES_FIRST + 1)]
    channel, customer = Channel("o"), Watcher()
    channel.live.add(customer)

    async def publishing(it):
        """What a worker publishes that is killed when it has come to the end of the stream."""
        published = []
        async with listening(it.redis, KEY) as heard, crashing(worker_settings(*servers)):
            while published[-1:] != sent[-1:]:
                published.append(await heard.message())
        for message in published:
            channel.deliver(message)
        return published

    async def main():
        async with shard(*servers) as it:
            await it.redis.hset("fleetline:meta", mapping={"shards": 4, "format": FORMAT_VERSION})
            await it.redis.xgroup_create(KEYS.stream, GROUP, "0", mkstream=True)
            await it.add(*sent)
            await it.redis.config_set("maxmemory", 1)
            try:
                # A page is shown as one position.
                assert await publishing(it) == await publishing(it) == sent[-2:]
            finally:
                await it.redis.config_set("maxmemory", 0)
        assert customer.frames == [text_frame(update_frame(event)) for event in sent[-2:]]

    asyncio.run(main())


class Watcher:
    """A customer."""

    def __init__(self):
        self.frames = []

    def offer(self, frame):
        self.frames.append(frame)


def test_a_driver_s_new_orders_are_bounded(servers, monkeypatch):
    """Each fix of a hostile driver made a key for a day."""
    monkeypatch.setattr(quota, "NEW_ORDERS_MAX", 20)

    async def main():
        async with shard(*servers) as it:
            with capture_logs() as said:
                async with working(worker_settings(*servers)):
                    await it.add(*[payload(n, order=f"o{n}") for n in range(20 + EXTRA)])
                    # Orders that it has shown go on; others' do too.
                    await it.add(payload(90, order="o3"), payload(91, driver="d2", order="new"))
                    await it.stored(22 + EXTRA)
                    await until(lambda: it.redis.exists(order_key("new")))
                    assert await it.redis.get(order_key("o3")) == payload(90, order="o3")
                    assert await it.live("d1") == payload(90, order="o3")
                    shown = [await it.redis.exists(order_key(f"o{n}")) for n in range(20 + EXTRA)]
                    assert shown == [1] * 20 + [0] * EXTRA
                    # Stored all the same, with their orders.
                    orders = "SELECT count(DISTINCT order_id) FROM locations"
                    assert await it.database.fetchval(orders) == 21 + EXTRA
            lines = [line for line in said if line["event"] == "live.too_many_orders"]
            assert len(lines) == 1
            assert lines[0]["driver"] == "d1"

    asyncio.run(main())


def test_a_key_that_somebody_made_by_hand_stops_nobody(servers):
    async def main():
        async with shard(*servers) as it:
            await it.redis.hset(KEY, "a", "b")
            async with working(worker_settings(*servers)):
                await it.add(payload(1, order="o"), payload(2, driver="d2", order="other"))
                await it.stored(2)
                await until(lambda: it.redis.exists(order_key("other")))
                assert await it.live("d1") == payload(1, order="o")

    asyncio.run(main())


def test_the_quota_is_of_a_window_and_a_driver():
    orders = quota.OrderQuota()
    for _ in range(quota.NEW_ORDERS_MAX):
        assert not orders.is_full("a", 1.0)
        orders.add("a")
    assert orders.is_full("a", 2.0)
    assert not orders.is_full("b", 2.0)
    assert not orders.is_full("a", 1.0 + quota.WINDOW_S)
    assert orders.refused == 1


def test_a_worker_beats_once_all_its_stages_have_advanced():
    beats = []
    liveness = Liveness(("live", "history"), lambda: beats.append(1))
    for part in ("live", "live", "history", "history", "live"):
        liveness.advanced(part)
    assert len(beats) == 2
