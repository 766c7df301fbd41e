"""The operators' stream: fleet messages in, one frame a second out for each box.

It lives beside the customers' path, never on it: messages only land in a bounded queue there,
and one task reads them, a message at a time, yielding in between. Channels are subscribed only
while an operator is connected.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from common.errors import Overloaded
from common.event import MALFORMED, effective_time
from common.log import Repeated, get
from common.redis.connection import FAILURES
from common.redis.nodes import Nodes
from common.shards import Shard, Shards
from fanout.fleet.box import (
    Batch,
    Box,
    BoxState,
    BoxSubscription,
    newest_of,
    positions_frames,
    read_batch,
    read_events,
)
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.counts import FanoutCounts
from fanout.sockets.protocol import text_frame
from fanout.sockets.session import Session

# Fleet messages that may wait to be read; past it the oldest go, a newer position follows.
MESSAGES_MAX: Final = 256
# Boxes of this process; operators who look at the same share one. Each costs a comparison for each
# fix of the fleet: at 2,000 fixes a second, 500 boxes are a third of a core.
BOXES_MAX: Final = 500
# At most one position per driver in this time, in seconds.
EVERY_S: Final = 1.0


class FleetFeed:
    """Runs until cancelled; `add` and `remove` are called from outside, synchronously.

    `ttl_s`: a position older than this says nothing about now (LOCATION_TTL). `unread_max_s`: an
    operator whose box could not be read in this time is told to try later.
    """

    def __init__(
        self,
        shards: Shards,
        nodes: Nodes,
        subscriptions: Subscriptions,
        counts: FanoutCounts,
        *,
        ttl_s: float,
        unread_max_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._shards = shards
        self._nodes = nodes
        self._subscriptions = subscriptions
        self._counts = counts
        self._ttl = timedelta(seconds=ttl_s)
        self._unread_max_s = unread_max_s
        self._messages: deque[bytes] = deque(maxlen=MESSAGES_MAX)
        self._wake = asyncio.Event()
        self._boxes: dict[Box, BoxState] = {}
        self.operators: dict[Session, BoxSubscription] = {}
        # Those to be shown all that is in their box: new ones, and slow ones that caught up.
        self._behind: set[Session] = set()
        # Those that were shown nothing yet, with the time they came.
        self._unread: dict[Session, float] = {}
        self._trouble = Repeated(get("feed"), "feed.failed")

    def has_room(self, box: Box) -> bool:
        """Whether one more operator may look at `box`."""
        return box in self._boxes or len(self._boxes) < BOXES_MAX

    def add(self, session: Session, subscription: BoxSubscription) -> None:
        """Show `session` what happens in its box."""
        if not self.operators:
            for name in self._channels():
                self._subscriptions.watch(name, self._arrived)
        self.operators[session] = subscription
        self._boxes.setdefault(subscription.box, BoxState(subscription.box))
        self._behind.add(session)
        self._unread[session] = self._loop.time()
        self._wake.set()

    def remove(self, session: Session) -> None:
        """Forget `session`, and its box when it was the last that subscribed to it."""
        box = self.operators.pop(session).box
        self._behind.discard(session)
        self._unread.pop(session, None)
        if all(box != other.box for other in self.operators.values()):
            del self._boxes[box]
        if not self.operators:
            for name in self._channels():
                self._subscriptions.unwatch(name)
            self._messages.clear()

    def adopt(self, shards: Shards) -> None:
        """The number of shards changes: their positions are in these from now on."""
        before = set(self._channels())
        self._shards = shards
        now = set(self._channels())
        if self.operators:
            for name in now - before:
                self._subscriptions.watch(name, self._arrived)
            for name in before - now:
                self._subscriptions.unwatch(name)
            # What came in between on channels that nobody heard is read.
            self._behind.update(self.operators)
            self._wake.set()

    @property
    def shards(self) -> Shards:
        """Where the positions are."""
        return self._shards

    def _channels(self) -> list[bytes]:
        return [shard.keys.fleet.encode() for shard in self._shards.all]

    def _arrived(self, payload: bytes) -> None:
        if len(self._messages) == MESSAGES_MAX:
            self._counts.fleet_dropped += 1
        self._messages.append(payload)
        self._wake.set()

    async def run(self) -> None:
        """Read what arrives; show it every `EVERY_S`."""
        show_at = self._loop.time()
        while True:
            await self._wake.wait()
            await self._read_messages()
            await self._catch_up()
            now = self._loop.time()
            if now < show_at:
                await asyncio.sleep(min(show_at - now, EVERY_S / 10))
                continue
            show_at = now + EVERY_S
            self._show()
            if not self._messages and not self._behind:
                self._wake.clear()

    async def _read_messages(self) -> None:
        while self._messages:
            try:
                batch = read_batch(self._messages.popleft())
            except MALFORMED as e:
                self._trouble.failed(error=str(e))
                continue
            oldest = self._oldest()
            for state in self._boxes.values():
                state.add(batch, oldest)
            # Customers' frames go first.
            await asyncio.sleep(0)

    def _show(self) -> None:
        taken = {box: state.take() for box, state in self._boxes.items()}
        built: dict[BoxSubscription, list[bytes]] = {}
        for session, subscription in self.operators.items():
            if session in self._behind:
                continue
            if subscription not in built:
                payloads = positions_frames(taken[subscription.box], subscription.positions_max)
                built[subscription] = [text_frame(payload) for payload in payloads]
            self._offer(session, built[subscription])

    def _offer(self, session: Session, frames: list[bytes]) -> None:
        for frame in frames:
            if session.outbox.full:
                # It gets the whole box once it has caught up.
                self._behind.add(session)
                return
            session.offer(frame)

    async def _catch_up(self) -> None:
        ready = [session for session in self._behind if not session.outbox.full]
        boxes: dict[Box, int] = {}
        for session in ready:
            subscription = self.operators[session]
            most = boxes.get(subscription.box, 0)
            boxes[subscription.box] = max(subscription.positions_max, most)
        for box, positions_max in boxes.items():
            try:
                batch = await self._read_box(box, positions_max)
            except (*FAILURES, *MALFORMED) as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                self._postpone_unread()
                return
            self._trouble.healed()
            if box in self._boxes:
                # Others who subscribed to this box have not seen what is newer here.
                self._boxes[box].add(batch, self._oldest())
            self._show_all(box, [event for _, event in batch], ready)

    def _show_all(self, box: Box, events: list[bytes], ready: list[Session]) -> None:
        for session in ready:
            subscription = self.operators.get(session)
            if subscription is not None and subscription.box == box:
                self._behind.discard(session)
                self._unread.pop(session, None)
                most = subscription.positions_max
                frames = positions_frames(events[:most], most)
                self._offer(session, [text_frame(payload) for payload in frames])

    def _postpone_unread(self) -> None:
        before = self._loop.time() - self._unread_max_s
        for session in [session for session, since in self._unread.items() if since <= before]:
            del self._unread[session]
            session.postpone()

    async def _read_box(self, box: Box, count: int) -> Batch:
        """Up to `count` positions in the box, as they are now."""
        values: list[bytes] = []
        missing = 0
        for shard in self._shards.all:
            try:
                values += await self._read_shard(shard, box, count)
            except Overloaded:
                # In a cluster its drivers are missing, and those of other servers are shown. Where
                # no server answers, an empty map would say that there are no drivers.
                missing += 1
                if not self._nodes.is_cluster or missing == len(self._shards.all):
                    raise
        batch, oldest = read_events(dict.fromkeys(values)), self._oldest()
        if self._shards.older is not None:
            batch = newest_of(batch)
        return [
            (position, event)
            for position, event in batch
            if box.holds(position.latitude, position.longitude)
            and effective_time(position)[0] >= oldest
        ]

    async def _read_shard(self, shard: Shard, box: Box, count: int) -> list[bytes]:
        wire, keys = self._nodes.wire(shard), shard.keys
        values: list[bytes] = []
        for piece in box.pieces():
            lon, lat, width_m, height_m = piece.search()
            area = ("FROMLONLAT", lon, lat, "BYBOX", width_m, height_m, "m")
            members = await wire.send("GEOSEARCH", keys.geo, *area, "COUNT", count, "ANY")
            if members:
                events = await wire.send("HMGET", keys.live, *members)
                values += (event for event in events if event is not None)
        return values

    def _oldest(self) -> datetime:
        return datetime.now(UTC) - self._ttl
