"""The events' socket: one channel of Redis in, the same frame out to each reader.

The channel is always subscribed, so a reader has each event that is published from its upgrade on.
What it may have missed is never passed over in silence: after the connection to Redis was lost,
and once it is too slow, it is closed with 1013 and reads the feed (`GET /api/v1/events`).
"""

from typing import Final

from common.keys import EVENTS_CHANNEL
from fanout.events.queue import EventQueue
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.close_codes import BEHIND, MISSED
from fanout.sockets.protocol import text_frame
from fanout.sockets.session import Session

# Readers of this process: each event is written to each of them.
READERS_MAX: Final = 500
_CHANNEL: Final = EVENTS_CHANNEL.encode()


class EventFeed:
    """The readers of this process; `add` and `remove` are called from outside, synchronously."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self.readers: dict[Session, EventQueue] = {}
        subscriptions.watch(_CHANNEL, self._arrived, lost=self._lost)

    def has_room(self) -> bool:
        """Whether one more may read."""
        return len(self.readers) < READERS_MAX

    def add(self, session: Session) -> None:
        """Show `session` every event from now on; close it where that cannot be promised."""
        if not self._subscriptions.is_synced(_CHANNEL):
            session.postpone()
            return
        queue = EventQueue()
        session.outbox = queue
        self.readers[session] = queue

    def remove(self, session: Session) -> None:
        """Forget `session`."""
        self.readers.pop(session, None)

    def _arrived(self, payload: bytes) -> None:
        frame = text_frame(payload)
        for session, queue in tuple(self.readers.items()):
            session.offer(frame)
            if queue.is_over:
                session.close(BEHIND)
                self.remove(session)

    def _lost(self) -> None:
        for session in tuple(self.readers):
            session.close(MISSED)
            self.remove(session)
