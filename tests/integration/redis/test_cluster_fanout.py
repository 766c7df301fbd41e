"""Customers on a cluster: nobody is ever silently deaf, and a dead primary is its own orders'."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from common.errors import Overloaded
from common.keys import order_key
from common.redis.cluster.cluster_nodes import REFRESH_EVERY_S, ClusterNodes
from common.redis.opening import new_nodes
from common.slots import slot_of
from tests.clients.ws import ORDER_PATH, Client, connect
from tests.servers.fanout_server import event, fanout, in_loop, number_of, until
from tests.servers.redis_cluster import RedisClusterServers
from tests.wait import pace

ORDERS = [f"o{n}" for n in range(60)]


class Town:
    """Customers of many orders, each of whom remembers the newest number that it was shown."""

    def __init__(self, nodes: ClusterNodes) -> None:
        self.nodes = nodes
        self.seen = dict.fromkeys(ORDERS, 0)
        self._clients: list[Client] = []
        self._reading: list[asyncio.Task[None]] = []

    async def watch(self, port: int) -> None:
        """All come."""
        for order in ORDERS:
            client = await connect(port, ORDER_PATH.format(order))
            self._clients.append(client)
            self._reading.append(asyncio.create_task(self._read(client, order)))

    async def _read(self, client: Client, order: str) -> None:
        while True:
            self.seen[order] = max(self.seen[order], number_of(await client.json(timeout_s=60)))

    def close(self) -> None:
        """All go."""
        for task in self._reading:
            task.cancel()
        for client in self._clients:
            client.abort()

    async def show(self, number: int, orders: list[str] | None = None) -> None:
        """What consumers do, again until Redis has taken it."""
        await asyncio.gather(*(self._show(number, order) for order in orders or ORDERS))

    async def _show(self, number: int, order: str) -> None:
        key, payload = order_key(order), event(number, order)
        while True:
            with contextlib.suppress(Overloaded):
                wire = self.nodes.order_wire(order)
                commands = [("SET", key, payload), (self.nodes.publish, key, payload)]
                if b"OK" in await wire.pipeline_raw(commands):
                    return
            await pace(0.05)

    async def saw(self, number: int, orders: list[str] | None = None) -> None:
        """All of them are shown it."""
        wanted = orders or ORDERS
        await until(lambda: all(self.seen[o] == number for o in wanted), timeout_s=10)


@contextlib.asynccontextmanager
async def town(cluster: RedisClusterServers) -> AsyncIterator[Town]:
    nodes = new_nodes(cluster.url, reply_timeout_s=1.5, name="publisher")
    assert isinstance(nodes, ClusterNodes)
    await nodes.start()
    try:
        yield Town(nodes)
    finally:
        await nodes.close()


def test_each_is_shown_what_is_published_wherever_it_lies(cluster: RedisClusterServers) -> None:
    async def main() -> None:
        async with town(cluster) as here, fanout(cluster.url) as server:
            await here.show(1)
            await here.watch(server.settings.fanout_port)
            await here.saw(1)
            for number in range(2, 6):
                await here.show(number)
                await here.saw(number)
            assert len(server.subscriptions.lanes) == 3
            assert server.probe.whole
            # A message costs one primary: nobody has subscribed by a plain SUBSCRIBE.
            for wire in here.nodes.wires:
                assert await wire.send("PUBSUB", "CHANNELS") == []
            here.close()

    in_loop(main())


def test_channels_whose_slot_moves_go_over(cluster: RedisClusterServers) -> None:
    order = ORDERS[0]
    slot = slot_of(order_key(order))
    source = cluster.owner(order_key(order))
    target = next(node for node in cluster.primaries() if node is not source)
    ids = [node.command("CLUSTER", "MYID").split()[-1] for node in (source, target)]

    def move(asked: int) -> None:
        node = (source, target)[1 - asked]
        span = ("SLOTSRANGE", str(slot), str(slot), "NODE", ids[asked])
        assert node.command("CLUSTER", "MIGRATESLOTS", *span).startswith(b"+OK")

    async def main() -> None:
        async with town(cluster) as here, fanout(cluster.url) as server:
            await here.watch(server.settings.fanout_port)
            await here.show(1)
            await here.saw(1)
            await asyncio.to_thread(move, 1)
            number, began = 1, asyncio.get_running_loop().time()
            while here.nodes.owner(slot) != ("127.0.0.1", target.port):
                number += 1
                await here.show(number)
                assert server.probe.delivering
                await pace(0.02)
            await here.saw(number)
            # Regression: it was asked in vain for the channel until the map was looked at anyway.
            assert asyncio.get_running_loop().time() - began < REFRESH_EVERY_S
            await here.show(number + 1)
            await here.saw(number + 1)
            await until(lambda: server.probe.whole)
            here.close()

    in_loop(main())
    move(0)


def test_a_dead_primary_is_not_noticed_by_others_customers(cluster: RedisClusterServers) -> None:
    victim = cluster.owner(order_key(ORDERS[0]))

    async def main() -> None:
        async with town(cluster) as here, fanout(cluster.url) as server:
            await here.watch(server.settings.fanout_port)
            await here.show(1)
            await here.saw(1)
            address = ("127.0.0.1", victim.port)
            away = [o for o in ORDERS if here.nodes.owner(slot_of(order_key(o))) == address]
            others = [order for order in ORDERS if order not in away]
            assert away
            assert others
            victim.kill()
            for number in range(2, 20):
                await here.show(number, others)
                await here.saw(number, others)
                assert server.probe.delivering
            await here.show(20)
            await here.saw(20)
            await until(lambda: server.probe.whole, timeout_s=10)
            here.close()

    in_loop(main())
    cluster.whole()
