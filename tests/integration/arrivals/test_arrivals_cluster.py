"""Arrivals on a cluster: a primary that is away stops those that need it, and nobody else's."""

import asyncio
from itertools import count

from common.keys import (
    ARRIVALS_LEADER,
    META,
    order_arrival_key,
    order_book_key,
    order_bucket,
    order_key,
    shard_of,
)
from common.metrics.snapshot import Snapshot
from common.redis.layout_watch import LayoutWatch
from common.shards import Shards
from tests.freezing import frozen
from tests.roles.arrivals import DROPOFF, HERE, Arrivals, arrivals
from tests.servers import RedisServer
from tests.servers.redis_cluster import RedisClusterServers

SHARDS = Shards("driver-locations", 4)


def names_on(
    cluster: RedisClusterServers, server: RedisServer
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Orders whose book is on this primary, and such whose is not; drivers likewise."""
    orders: tuple[list[str], list[str]] = ([], [])
    drivers: tuple[list[str], list[str]] = ([], [])
    for n in count():
        book = order_book_key(order_bucket(f"o{n}"))
        orders[cluster.owner(book) is not server].append(f"o{n}")
        live = SHARDS.of(f"d{n}").keys.live
        drivers[cluster.owner(live) is not server].append(f"d{n}")
        if all(len(names) >= 2 for names in (*orders, *drivers)):
            return orders[0], orders[1], drivers[0], drivers[1]
    raise AssertionError


def test_a_primary_that_is_away_stops_its_own_orders_alone(
    cluster: RedisClusterServers, database_url: str
) -> None:
    """What broke: one that did not answer stopped the arrivals of all."""
    # Also the right to do the work lies there.
    victim = cluster.owner(ARRIVALS_LEADER)
    lost_orders, orders, lost_drivers, drivers = names_on(cluster, victim)
    followed = {
        lost_orders[0]: drivers[0],
        orders[0]: drivers[0],
        orders[1]: lost_drivers[0],
    }

    async def main(made: Arrivals) -> None:
        for order_id, driver in followed.items():
            await made.put(order_id, driver_id=driver, dropoff=DROPOFF)
        for driver in (drivers[0], lost_drivers[0]):
            await made.drive(driver)
        await made.turn()
        assert all([await made.kept(order_id) is not None for order_id in followed])
        with frozen(victim.pid):
            await made.drive(drivers[0], (HERE[0] + 0.05, HERE[1]))
            made.forget_what_was_said()
            before = await made.kept(orders[0])
            await made.turn()
            after = await made.kept(orders[0])
            assert before is not None
            assert after is not None
            assert after.remaining_m > before.remaining_m
            numbers = Snapshot()
            made.role.numbers.put(numbers)
            assert numbers.values["fleetline_arrivals_away_orders"] == {(): 1}

    async def begin() -> None:
        async with arrivals(cluster.url, database_url) as made:
            await main(made)

    asyncio.run(begin())
    cluster.whole()


def test_drivers_are_followed_into_the_new_shards(
    redis_server: RedisServer, database_url: str
) -> None:
    """The number of shards changes: who has moved is in a new one, and others in an old one."""
    new = Shards("driver-locations", 7, 2)

    async def main() -> None:
        async with arrivals(redis_server.url, database_url) as made:
            watch: LayoutWatch = made.role._layouts
            for order_id, driver in (("o1", "d1"), ("o2", "d2")):
                await made.put(order_id, driver_id=driver, dropoff=DROPOFF)
                await made.drive(driver)
            await made.turn()
            first = await made.kept("o1")
            layouts = {"shards": 7, "epoch": 2, "old_shards": 4, "old_epoch": 1}
            await made.redis.hset(META, mapping=layouts)
            await watch.look()
            # As its new worker leaves it.
            old = SHARDS.of("d1").keys.live
            await made.drive("d1", (HERE[0] + 0.05, HERE[1]))
            moved = await made.redis.hget(old, "d1")
            await made.redis.hset(new.of("d1").keys.live, "d1", moved)
            await made.redis.hdel(old, "d1")
            await made.redis.delete(order_arrival_key("o2"), order_key("o2"))
            made.forget_what_was_said()
            await made.turn()
            second = await made.kept("o1")
            assert first is not None
            assert second is not None
            assert second.remaining_m > first.remaining_m
            assert await made.kept("o2") is not None
            assert shard_of("d1", 4) == SHARDS.of("d1").index

    asyncio.run(main())
