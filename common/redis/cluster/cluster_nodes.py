"""The connections of a process to the primaries of a cluster: one each, found by slot.

The map of slots is asked for again when a reply says MOVED, when a connection is lost, and every
`REFRESH_EVERY_S`: clients that only wait for MOVED never notice a primary that is dead. A node that
does not answer holds up the callers of its own keys and nobody else.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from common.errors import Overloaded
from common.keys import ORDER_BUCKETS, order_book_key, order_bucket
from common.log import Repeated, get
from common.processes.background import spawn
from common.redis.cluster.pinned import PinnedWire
from common.redis.cluster.redirect import ClusterWire
from common.redis.cluster.slot_map import (
    Address,
    Redirect,
    Resent,
    View,
    by_address,
    fewest_copies,
    redirected,
)
from common.redis.cluster.views import NO_NODE, view_from, view_over
from common.redis.kind import IS_NO_CLUSTER
from common.redis.nodes import Nodes
from common.redis.place import RedisPlace
from common.redis.url import Command, RedisUrl
from common.redis.wire import Reply, Wire
from common.shards import Shard
from common.slots import SLOTS, slot_of

REFRESH_EVERY_S = 10.0
# While a primary is away: how soon it is seen that another has its slots.
REFRESH_AWAY_S = 0.5
# Least time between two looks, whatever happens.
REFRESH_GAP_S = 0.05
# How often a command is led on: a node that was led to may not know yet that it has the slot.
HOPS_MAX = 5
HOP_PAUSE_S = 0.02

_log = get("cluster")


class ClusterNodes(Nodes):
    """`Nodes` of a cluster. `start` before anything is asked of it."""

    is_cluster = True
    publish = "SPUBLISH"
    count_subscribers = ("PUBSUB", "SHARDNUMSUB")

    def __init__(
        self, place: RedisPlace, *, reply_timeout_s: float, inflight_bytes_max: int, name: str
    ) -> None:
        self._place = place
        self._reply_timeout_s = reply_timeout_s
        self._limits = {"inflight_bytes_max": inflight_bytes_max, "name": name}
        self._by_address: dict[Address, ClusterWire] = {}
        # Never started: what is sent over it raises `Overloaded`.
        self._nobody = self._new_wire(Address("", 0))
        self._by_slot: list[ClusterWire] = [self._nobody] * SLOTS
        # The same, as it was when `on_change` was told last.
        self._announced: list[ClusterWire] = []
        self._bucket_slots = [slot_of(order_book_key(b)) for b in range(ORDER_BUCKETS)]
        self._wires: tuple[ClusterWire, ...] = ()
        self._retired: list[tuple[float, ClusterWire]] = []
        # Weak: each is kept by its owner alone.
        self._pinned: weakref.WeakSet[PinnedWire] = weakref.WeakSet()
        self._changed: list[Callable[[], None]] = []
        self._doubt = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble = Repeated(_log, "cluster.unknown")

    async def start(self) -> None:
        """Find the primaries and connect. Returns after the first attempt."""
        await self._refresh()
        await asyncio.gather(*(wire.start() for wire in self._wires))
        self._run(self._keep_refreshing())

    async def close(self) -> None:
        """Stop; what still waits fails."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        retired = [wire for _, wire in self._retired]
        await asyncio.gather(*(w.close() for w in (*self._by_address.values(), *retired)))

    def wire(self, shard: Shard) -> Wire:
        """The connection to the primary that holds the keys of `shard`."""
        return self._by_slot[shard.slot]

    def order_wire(self, order_id: str) -> Wire:
        """The connection to the primary that holds the keys of an order."""
        return self._by_slot[self._bucket_slots[order_bucket(order_id)]]

    def bucket_wire(self, bucket: int) -> Wire:
        """The connection to the primary that holds the keys of a bucket of orders."""
        return self._by_slot[self._bucket_slots[bucket]]

    def key_wire(self, key: str | bytes) -> Wire:
        """The connection to the primary that holds `key`."""
        return self._by_slot[slot_of(key)]

    @property
    def wires(self) -> Sequence[Wire]:
        """A connection to each primary."""
        return self._wires

    def on_change(self, changed: Callable[[], None]) -> None:
        """`changed` is called when other primaries serve, or serve other slots."""
        self._changed.append(changed)

    @property
    def primaries(self) -> Sequence[Address]:
        """Where the primaries are that serve something."""
        return [wire.address for wire in self._wires]

    def owner(self, slot: int) -> Address | None:
        """Which primary serves a slot, as far as is known."""
        address = self._by_slot[slot].address
        return address if address.host else None

    async def locate(self, slot: int) -> RedisUrl:
        """The primary of a slot, for a connection that is to follow it. Raises `Overloaded`."""
        # Where there was a connection before, it was lost.
        self.doubt()
        address = self.owner(slot)
        if address is None:
            raise Overloaded("Redis: no primary is known for these keys")
        return self._place.at(*address)

    def pinned(self, slot: int, *, reply_timeout_s: float, name: str) -> Wire:
        """A connection of its own to the primary of a slot, whichever that is; not started."""
        wire = PinnedWire(slot, self.locate, reply_timeout_s=reply_timeout_s, name=name)
        self._pinned.add(wire)
        return wire

    def doubt(self) -> None:
        """What is known may be wrong: look again soon."""
        self._doubt.set()

    async def _keep_refreshing(self) -> None:
        while True:
            away = not self._wires or not all(wire.up for wire in self._wires)
            wait_s = REFRESH_AWAY_S if away else REFRESH_EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._doubt.wait()
            self._doubt.clear()
            await self._refresh()
            await asyncio.sleep(REFRESH_GAP_S)

    async def _refresh(self) -> None:
        """Ask all primaries, or where none answers the nodes that are named, and believe one."""
        view = await view_over(wire for wire in self._by_address.values() if wire.up)
        if view is None:
            known = (self._place.at(*address) for address in self._by_address)
            view = await view_from([*self._place.servers, *known])
        if view is None or view is NO_NODE:
            self.none_is_cluster = view is NO_NODE
            error = IS_NO_CLUSTER if self.none_is_cluster else "no node knows the primaries"
            self._trouble.failed(error=error)
        else:
            self._trouble.healed()
            self._adopt(view)

    def _adopt(self, view: View) -> None:
        wires = {address: self._wire_at(address) for address in view.primaries}
        by_slot = [self._nobody if owner is None else wires[owner] for owner in view.owners()]
        self._retire(wires)
        # A copy, since replies that say MOVED change it ahead of the map.
        self._by_slot = list(by_slot)
        if by_slot == self._announced:
            return
        self._announced, self._wires = by_slot, tuple(wires.values())
        _log.info("cluster.primaries", nodes=[f"{host}:{port}" for host, port in wires])
        for pinned in tuple(self._pinned):
            pinned.follow(self.owner(pinned.slot))
        for changed in self._changed:
            changed()

    def _wire_at(self, address: Address) -> ClusterWire:
        wire = self._by_address.get(address)
        if wire is None:
            wire = self._by_address[address] = self._new_wire(address)
            self._run(wire.start())
        return wire

    def _new_wire(self, address: Address) -> ClusterWire:
        async def locate() -> RedisUrl:
            return self._place.at(*address)

        return ClusterWire(
            address,
            locate,
            resend=self._resend,
            follow=self._run,
            lost=self.doubt,
            reply_timeout_s=self._reply_timeout_s,
            **self._limits,
        )

    def _retire(self, wires: dict[Address, ClusterWire]) -> None:
        """Close what serves nothing any more, once nothing can be on its way over it."""
        now = asyncio.get_running_loop().time()
        for address in self._by_address.keys() - wires.keys():
            self._retired.append((now, self._by_address.pop(address)))
        before = now - 2 * self._reply_timeout_s
        for since, wire in tuple(self._retired):
            if since <= before:
                self._retired.remove((since, wire))
                self._run(wire.close())

    async def _resend(
        self, commands: Sequence[Command], replies: list[Reply], asked: Address
    ) -> list[Reply]:
        """Ask elsewhere what is elsewhere; all replies. Raises `Overloaded`."""
        for hop in range(HOPS_MAX):
            led = redirected(commands, replies, asked)
            if not led:
                break
            self._note(each.redirect for each in led)
            if hop:
                await asyncio.sleep(HOP_PAUSE_S)
            parts = by_address(led)
            copies = await asyncio.gather(
                *(self._ask_at(address, part, commands, replies) for address, part in parts.items())
            )
            if commands[-1][0] == "WAIT":
                replies[-1] = fewest_copies(commands, led, [replies[-1], *copies])
        return replies

    def _note(self, redirects: Iterable[Redirect]) -> None:
        self.doubt()
        for redirect in redirects:
            if not redirect.asking and redirect.slot < SLOTS:
                # Others are led there at once, and the map is asked for in the background.
                self._by_slot[redirect.slot] = self._wire_at(redirect.address)

    async def _ask_at(
        self,
        address: Address,
        led: Sequence[Resent],
        commands: Sequence[Command],
        replies: list[Reply],
    ) -> Reply:
        """Ask there; replies get into their places. The reply to a WAIT behind it, if any."""
        wire = self._wire_at(address)
        await wire.start()
        sent: list[Command] = []
        places: list[int | None] = []
        for first, last, redirect in led:
            if redirect.asking:
                sent.append(("ASKING",))
                places.append(None)
            sent += commands[first : last + 1]
            places += range(first, last + 1)
        if commands[-1][0] == "WAIT":
            sent.append(commands[-1])
            places.append(None)
        answers = await wire.here(sent)
        for place, answer in zip(places, answers, strict=True):
            if place is not None:
                replies[place] = answer
        return answers[-1]

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = spawn(work, name="cluster")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
