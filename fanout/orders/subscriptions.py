"""What this process watches, over all servers of Redis: one lane each.

An order lies in one of the buckets of `common.keys`, and a bucket on one server. When slots move,
or a replica takes a primary's place, the channels of its buckets go over to another lane, which
subscribes to them and reads what was missed.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from common.keys import ORDER_BUCKETS, order_book_key, order_bucket
from common.redis.cluster.slot_map import Address
from common.redis.connection import FAILURES
from common.redis.nodes import Nodes
from common.slots import slot_of
from common.trace import Tracing
from fanout.orders.bridge import Bridge, Routes
from fanout.orders.frame_counts import FrameCounts
from fanout.orders.hub import Channel, Hub, Watcher
from fanout.orders.lane import Connect, Lane, Read
from fanout.sockets.counts import FanoutCounts

# How often channels without watchers are looked through, in seconds.
RELEASE_EVERY_S: Final = 0.2

_BUCKET_SLOTS = tuple(slot_of(order_book_key(bucket)) for bucket in range(ORDER_BUCKETS))
# Where everything lies when there is one server.
_ONE: Final = Address("", 0)


class _Other(NamedTuple):
    """A channel that is no order, and the server that has it, as far as is known.

    `lost` is called when messages of it may have been missed.
    """

    slot: int
    lost: Callable[[], None] | None
    owner: Address | None


class Subscriptions:
    """Runs until cancelled; `join` and `leave` are called from outside, synchronously.

    `connect_to` says how a Pub/Sub connection to a server is opened, `read` merges channels with
    what Redis holds of them; both raise `FAILURES`. `cluster` are the servers, if it is one.
    """

    def __init__(
        self,
        connect_to: Callable[[Address], Connect],
        read: Read,
        counts: FanoutCounts,
        *,
        reply_timeout_s: float,
        linger_s: float,
        unread_max_s: float,
        cluster: Nodes | None = None,
        shown: FrameCounts | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._new_lane: Callable[[Address], Lane] = lambda address: Lane(
            self, connect_to(address), read, counts, reply_timeout_s=reply_timeout_s
        )
        self._linger_s = linger_s
        self._unread_max_s = unread_max_s
        self.routes: Routes = {}
        self.shown = shown or FrameCounts()
        self.hub = Hub(self.routes, self.shown, tracing)
        # Channels that are no order: the probes', the operators'.
        self._others: dict[bytes, _Other] = {}
        self.lanes: dict[Address, Lane] = {}
        self._cluster = cluster
        # By bucket, the server of its orders.
        self._buckets: list[Address | None] = []
        # What lanes run in, while this runs.
        self._group: asyncio.TaskGroup | None = None
        self._adopt()
        if cluster is not None:
            cluster.on_change(self._adopt)

    def owner(self, slot: int) -> Address | None:
        """The server of a slot, None while it is not known."""
        return _ONE if self._cluster is None else self._cluster.owner(slot)

    def buckets_of(self, address: Address) -> list[int]:
        """The buckets of orders that lie on a server, as far as is known."""
        return [bucket for bucket, owner in enumerate(self._buckets) if owner == address]

    def _lane_at(self, address: Address | None) -> Lane | None:
        return None if address is None else self.lanes.get(address)

    def lane_of(self, name: bytes) -> Lane | None:
        """The lane of a channel that is no order."""
        return self._lane_at(self._others[name].owner)

    def _adopt(self) -> None:
        """Have a lane for each server, and let those channels go over that lie elsewhere now."""
        before, self._buckets = self._buckets, [self.owner(slot) for slot in _BUCKET_SLOTS]
        primaries = {_ONE} if self._cluster is None else set(self._cluster.primaries)
        for address in self.lanes.keys() - primaries:
            lane = self.lanes.pop(address)
            if lane.task is not None:
                lane.task.cancel()
        for address in primaries - self.lanes.keys():
            lane = self.lanes[address] = self._new_lane(address)
            if self._group is not None:
                lane.task = self._group.create_task(lane.run(), name="lane")
        moved = {b for b, owner in enumerate(self._buckets) if before and before[b] != owner}
        self._move_orders(moved, before)
        for name, other in self._others.items():
            owner = self.owner(other.slot)
            if owner != other.owner:
                self._others[name] = other._replace(owner=owner)
                self._tell(name, watch=True)
                self._say_lost(name)

    def _move_orders(self, buckets: set[int], before: list[Address | None]) -> None:
        if not buckets:
            return
        moved = [c for c in self.hub.channels.values() if order_bucket(c.order_id) in buckets]
        for channel in moved:
            lane = self._lane_at(before[order_bucket(channel.order_id)])
            if lane is not None:
                lane.forgo((channel.name,))
        self.want(moved)

    @property
    def bridge(self) -> Bridge | None:
        """The connection of the first lane: the only one, where there is one server."""
        return next(iter(self.lanes.values())).bridge

    @property
    def synced(self) -> bool:
        """Whether every channel has been subscribed and read on the present connections."""
        return bool(self.lanes) and all(lane.synced for lane in self.lanes.values())

    def is_synced(self, name: bytes) -> bool:
        """Whether what is published to a channel that is no order arrives."""
        lane = self.lane_of(name)
        return lane is not None and lane.synced

    def join(self, order_id: str, session: Watcher) -> Channel:
        """Add a session to an order; it is shown something once the order has been read."""
        channel = self.hub.join(order_id, session, self._loop.time())
        self.want((channel,))
        return channel

    def leave(self, channel: Channel, session: Watcher) -> None:
        """Remove a session. The channel stays subscribed for a while."""
        self.hub.leave(channel, session, self._loop.time())

    def watch(
        self,
        name: bytes,
        route: Callable[[bytes], None],
        *,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """Subscribe to a channel that is no order, also after every reconnect.

        `lost` is called when messages may have been missed.
        """
        slot = slot_of(name)
        self._others[name] = _Other(slot, lost, self.owner(slot))
        self.routes[name] = route
        self._tell(name, watch=True)

    def unwatch(self, name: bytes) -> None:
        """Undo `watch`."""
        self._tell(name, watch=False)
        del self._others[name], self.routes[name]

    def _tell(self, name: bytes, *, watch: bool) -> None:
        lane = self.lane_of(name)
        if lane is not None:
            lane.tell(name, watch=watch)

    def orders_of(self, lane: Lane) -> list[Channel]:
        """The orders that lie on the lane's server, as far as is known."""
        channels = list(self.hub.channels.values())
        if self._cluster is None:
            return channels
        mine = [self._lane_at(owner) is lane for owner in self._buckets]
        return [channel for channel in channels if mine[order_bucket(channel.order_id)]]

    def others_of(self, lane: Lane) -> list[bytes]:
        """Likewise the channels that are no order."""
        return [name for name in self._others if self.lane_of(name) is lane]

    def want(self, channels: Iterable[Channel]) -> None:
        """Let channels be subscribed and read by the lanes that have them now."""
        if self._cluster is None:
            self.lanes[_ONE].want(channels)
            return
        for channel in channels:
            lane = self._lane_at(self._buckets[order_bucket(channel.order_id)])
            # Where nobody has it, the lane that comes reads all of its orders.
            if lane is not None:
                lane.want((channel,))

    def lost(self, lane: Lane) -> None:
        """The lane may have missed messages."""
        self.doubt()
        for name in self.others_of(lane):
            self._say_lost(name)

    def doubt(self) -> None:
        """Its server may not have a channel any more: a slot has moved, or it was replaced."""
        if self._cluster is not None:
            self._cluster.doubt()

    def _say_lost(self, name: bytes) -> None:
        lost = self._others[name].lost
        if lost is not None:
            lost()

    async def run(self) -> None:
        """Keep connected and subscribed until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._group = tasks
                for lane in self.lanes.values():
                    lane.task = tasks.create_task(lane.run(), name="lane")
                tasks.create_task(self._keep_releasing(), name="release")
                tasks.create_task(self._keep_postponing(), name="postpone")
        finally:
            self._group = None

    async def _keep_releasing(self) -> None:
        while True:
            await asyncio.sleep(min(RELEASE_EVERY_S, self._linger_s))
            idle = self.hub.idle_since(self._loop.time() - self._linger_s)
            if not idle:
                continue
            parts: dict[Lane | None, list[Channel]] = {}
            for channel in idle:
                owner = self._buckets[order_bucket(channel.order_id)]
                parts.setdefault(self._lane_at(owner), []).append(channel)
            await asyncio.gather(*map(self._release, parts, parts.values()))

    async def _release(self, lane: Lane | None, idle: list[Channel]) -> None:
        if lane is None:
            self.hub.forget(idle)
            return
        try:
            await lane.release(idle)
        except FAILURES:
            # Channels that were not forgotten yet stay idle, and are released the next time.
            return

    async def _keep_postponing(self) -> None:
        while True:
            await asyncio.sleep(self._unread_max_s / 10)
            self.hub.postpone_unread(self._loop.time() - self._unread_max_s)
