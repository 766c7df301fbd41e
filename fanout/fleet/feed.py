"""The operators' stream: fleet messages in, one frame a second out for each box.

It lives beside the customers' path, never on it: messages only land in a bounded queue there,
and one task reads them, a message at a time, yielding in between. Channels are subscribed only
while an operator is connected.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from common.event import effective_time
from common.keys import fleet_channel, shard_keys
from common.log import Repeated, get
from common.redis.wire import Wire
from common.settings import Settings
from fanout.counts import Counts
from fanout.fleet.box import Batch, Box, Picture, positions_frames, read_batch, read_events
from fanout.orders.subscriptions import FAILURES, Subscriptions
from fanout.sockets.protocol import text_frame
from fanout.sockets.session import Session

# Fleet messages that may wait to be read; past it the oldest go, a newer position follows.
MESSAGES_MAX: Final = 256
# At most one position per driver in this time, in seconds.
EVERY_S: Final = 1.0


class Feed:
    """Runs until cancelled; `add` and `remove` are called from outside, synchronously."""

    def __init__(
        self, settings: Settings, wire: Wire, subscriptions: Subscriptions, counts: Counts
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._shards = settings.shards
        self._stream_name = settings.stream_name
        self._location_ttl = timedelta(seconds=settings.location_ttl)
        self._wire = wire
        self._subscriptions = subscriptions
        self._counts = counts
        self._messages: deque[bytes] = deque(maxlen=MESSAGES_MAX)
        self._wake = asyncio.Event()
        self._pictures: dict[Box, Picture] = {}
        # Operators with their box and the most positions of a frame.
        self.operators: dict[Session, tuple[Box, int]] = {}
        # Those to be shown all that is in their box: new ones, and slow ones that caught up.
        self._behind: set[Session] = set()
        self._trouble = Repeated(get("feed"), "feed.failed")

    def add(self, session: Session, box: Box, positions_max: int) -> None:
        """Show `session` what happens in its box."""
        if not self.operators:
            for shard in range(self._shards):
                self._subscriptions.watch(fleet_channel(shard).encode(), self._arrived)
        self.operators[session] = (box, positions_max)
        self._pictures.setdefault(box, Picture(box))
        self._behind.add(session)
        self._wake.set()

    def remove(self, session: Session) -> None:
        """Forget `session`, and its box when it was the last who looked at it."""
        box, _ = self.operators.pop(session)
        self._behind.discard(session)
        if all(box != other for other, _ in self.operators.values()):
            del self._pictures[box]
        if not self.operators:
            for shard in range(self._shards):
                self._subscriptions.unwatch(fleet_channel(shard).encode())
            self._messages.clear()

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
            except msgspec.DecodeError as e:
                self._trouble.failed(error=str(e))
                continue
            oldest = self._oldest()
            for picture in self._pictures.values():
                picture.add(batch, oldest)
            # Customers' frames go first.
            await asyncio.sleep(0)

    def _show(self) -> None:
        taken = {box: picture.take() for box, picture in self._pictures.items()}
        built: dict[tuple[Box, int], list[bytes]] = {}
        for session, look in self.operators.items():
            if session in self._behind:
                continue
            if look not in built:
                payloads = positions_frames(taken[look[0]], look[1])
                built[look] = [text_frame(payload) for payload in payloads]
            self._offer(session, built[look])

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
            box, positions_max = self.operators[session]
            boxes[box] = max(positions_max, boxes.get(box, 0))
        for box, positions_max in boxes.items():
            try:
                batch = await self._look(box, positions_max)
            except (*FAILURES, msgspec.DecodeError) as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                return
            self._trouble.healed()
            if box in self._pictures:
                # Others who look at this box have not seen what is newer here.
                self._pictures[box].add(batch, self._oldest())
            self._show_all(box, [event for _, event in batch], ready)

    def _show_all(self, box: Box, events: list[bytes], ready: list[Session]) -> None:
        for session in ready:
            look = self.operators.get(session)
            if look is not None and look[0] == box:
                self._behind.discard(session)
                frames = positions_frames(events[: look[1]], look[1])
                self._offer(session, [text_frame(payload) for payload in frames])

    async def _look(self, box: Box, count: int) -> Batch:
        """Up to `count` positions in the box, as they are now."""
        found: list[bytes] = []
        for shard in range(self._shards):
            keys = shard_keys(self._stream_name, shard)
            for piece in box.pieces():
                lon, lat, width_m, height_m = piece.search()
                area = ("FROMLONLAT", lon, lat, "BYBOX", width_m, height_m, "m")
                members = await self._wire.send("GEOSEARCH", keys.geo, *area, "COUNT", count, "ANY")
                if members:
                    values = await self._wire.send("HMGET", keys.live, *members)
                    found += (value for value in values if value is not None)
        batch, oldest = read_events(dict.fromkeys(found)), self._oldest()
        return [
            (spot, event)
            for spot, event in batch
            if box.holds(spot.latitude, spot.longitude) and effective_time(spot)[0] >= oldest
        ]

    def _oldest(self) -> datetime:
        """A position from before this says nothing about now."""
        return datetime.now(UTC) - self._location_ttl
