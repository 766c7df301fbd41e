"""The Redis of a stack as those see it who break it: one server, or the nodes of a cluster.

It is asked over plain sockets: whatever a client library does by itself would be counted.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

import psutil
import redis

from common.errors import FleetlineError
from common.keys import STREAM_NAME, order_key, shard_keys, shard_of
from common.redis.client import new_async_client
from common.redis.place import parse_place
from common.slots import SLOTS, slot_of
from deploy.servers.cluster_forming import ClusterNode, asking
from deploy.stack.wiring import CLUSTER_PRIMARIES
from tests.faults.chaos.fixes import watched_driver, watched_order
from tests.faults.chaos.windows import Watched
from tests.servers.cluster_nodes import KnownNode, owner_of, read_nodes
from tests.stack import Stack
from tests.wait import pace, until

TROUBLE = (OSError, FleetlineError)
REDIS_TROUBLE = (redis.RedisError, OSError)
# A node that comes back reads its log and is given what it missed.
WHOLE_TIMEOUT_S = 60.0
# A primary is replaced, or a slot has moved, by then.
CHANGE_TIMEOUT_S = 30.0
# How soon it is noticed that a lost primary is started again: before it has read its log.
HOLD_LOOK_S = 0.002
LOOK_S = 0.1


def redis_client(stack: Stack, timeout_s: float = 1.0) -> Any:
    """A client for looking. Raises what is in `REDIS_TROUBLE`."""
    return new_async_client(stack.redis_url, decode=False, timeout_s=timeout_s)


class RedisServers:
    """The servers. `is_cluster`: whether there are several, of which each has keys of its own."""

    def __init__(self, stack: Stack, shards: int) -> None:
        place = parse_place(stack.redis_url)
        self.is_cluster = place.is_cluster
        self._stack = stack
        self._password = place.data.password
        self._nodes = [ClusterNode(server.port, 0, server.host) for server in place.servers]
        self._slots = [slot_of(shard_keys(STREAM_NAME, n, shards).stream) for n in range(shards)]

    @property
    def roles(self) -> list[str]:
        """What the stack calls them."""
        if not self.is_cluster:
            return ["redis"]
        return [f"redis-{number}" for number in range(1, len(self._nodes) + 1)]

    def watched(self, index: int) -> Watched:
        """Which keys carry what customers of a watched order see."""
        shard = shard_of(watched_driver(index), len(self._slots))
        order = slot_of(order_key(watched_order(index)))
        return Watched(shard, frozenset({self._slots[shard], order}))

    def slots_of(self, shards: AbstractSet[int]) -> AbstractSet[int]:
        """The slots of the streams of some shards."""
        return {self._slots[shard] for shard in shards}

    async def struck(self, target: str, shard: int) -> tuple[str, AbstractSet[int] | None]:
        """The role that has a shard (or its replica), and which slots that stops; None: all."""
        if not self.is_cluster:
            return "redis", None
        known = await self.known()
        primary = owner_of(self._slots[shard], known)
        if primary is None:
            raise FleetlineError("no node has the slot")
        followers = [node for node in known if node.primary_id == primary.node_id]
        hit = primary if target == "redis" else next(iter(followers), primary)
        return self._role_at(hit.port), primary.slots

    async def known(self, without: str = "") -> list[KnownNode]:
        """What each node that answers says of itself. `without`: a role that is not asked."""
        replies = await self.ask_each("CLUSTER", "NODES", without=without)
        known = [read_nodes(reply) for reply in replies if isinstance(reply, bytes)]
        return [node for nodes in known for node in nodes if "myself" in node.flags]

    async def ask_each(self, *command: str, without: str = "") -> list[Any]:
        """The reply of each server, or the error."""
        nodes = [n for n, role in zip(self._nodes, self.roles, strict=True) if role != without]
        asked = (asyncio.to_thread(self._ask, node, command) for node in nodes)
        return list(await asyncio.gather(*asked))

    async def tell(self, *command: str) -> None:
        """Have it done by those that answer. Raises what is in `TROUBLE` when none does."""
        replies = await self.ask_each(*command)
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if len(errors) == len(replies):
            raise errors[0]

    async def tell_all(self, *command: str) -> None:
        """Have it done by each. Raises what is in `TROUBLE` when one does not answer."""
        for reply in await self.ask_each(*command):
            if isinstance(reply, Exception):
                raise reply

    async def ask_one(self, *command: str) -> Any:
        """The reply of one of them. Raises what is in `TROUBLE`."""
        reply = await asyncio.to_thread(self._ask, self._nodes[0], command)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _ask(self, node: ClusterNode, command: tuple[str, ...]) -> Any:
        try:
            with asking(node, self._password) as ask:
                return ask(*command)
        except TROUBLE as e:
            return e

    def _role_at(self, port: int) -> str:
        return self.roles[[node.port for node in self._nodes].index(port)]

    async def await_whole(self) -> None:
        """Until each primary of a cluster has a replica: two faults at a time are not survived."""
        if self.is_cluster:
            await until(self._is_whole, timeout_s=WHOLE_TIMEOUT_S, what="a whole cluster")

    async def _is_whole(self) -> bool:
        known = await self.known()
        primaries = [node for node in known if node.is_primary and node.slots]
        said = await self.ask_each("INFO", "replication")
        states = await self.ask_each("CLUSTER", "INFO")
        return (
            len(known) == len(self._nodes)
            and len(primaries) == CLUSTER_PRIMARIES
            and len(frozenset().union(*(node.slots for node in primaries))) == SLOTS
            and sum(b"state=online" in info for info in said if isinstance(info, bytes))
            == CLUSTER_PRIMARIES
            and all(isinstance(s, bytes) and b"cluster_state:ok" in s for s in states)
        )

    async def hold_until_replaced(self, role: str, shard: int, killed_pid: int) -> None:
        """A killed primary that is started again stands still until another has its slots.

        Then it is killed again: one that woke up would take all others for dead, since it has not
        heard them for so long, and might be believed.
        """
        held: list[psutil.Process] = []
        holding = asyncio.create_task(self._hold(role, killed_pid, held))
        try:
            async with asyncio.timeout(CHANGE_TIMEOUT_S):
                await self._replaced(role, shard)
        finally:
            holding.cancel()
            for process in held:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)

    async def _hold(self, role: str, killed_pid: int, held: list[psutil.Process]) -> None:
        while True:
            pid = self._stack.pid(role)
            if pid is not None and pid not in {killed_pid, *(process.pid for process in held)}:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    process.send_signal(signal.SIGSTOP)
                    held.append(process)
            await pace(HOLD_LOOK_S)

    async def _replaced(self, role: str, shard: int) -> None:
        while True:
            owner = owner_of(self._slots[shard], await self.known(without=role))
            if owner is not None:
                return
            await pace(LOOK_S)

    async def move(self, shard: int, say: Callable[[str], None]) -> None:
        """Give the slot of a shard, and that of a watched order, to the next primary."""
        for slot in (self._slots[shard], slot_of(order_key(watched_order(shard)))):
            known = await self.known()
            owner = owner_of(slot, known)
            others = [n for n in known if n.is_primary and n.slots and n is not owner]
            if owner is None or not others:
                raise FleetlineError("no node has the slot")
            target = min(others, key=lambda node: (node.port <= owner.port, node.port))
            span = ("SLOTSRANGE", str(slot), str(slot), "NODE", target.node_id)
            source = next(node for node in self._nodes if node.port == owner.port)
            reply = await asyncio.to_thread(self._ask, source, ("CLUSTER", "MIGRATESLOTS", *span))
            if isinstance(reply, Exception):
                raise reply
            await until(
                partial(self._has, slot, target.port),
                timeout_s=CHANGE_TIMEOUT_S,
                what="the slot to have moved",
            )
            say(f"slot {slot}: from port {owner.port} to {target.port}")

    async def _has(self, slot: int, port: int) -> bool:
        owner = owner_of(slot, await self.known())
        return owner is not None and owner.port == port
