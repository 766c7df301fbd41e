"""Which sessions watch which order, and what each channel has shown: the rules, no I/O.

A channel remembers the newest event. Everything goes through that one value, so there is no gap,
no repeat, and nothing older after newer:

- live: what arrives is shown if it is newer. Messages need not come in the order of their events:
  an order may have two drivers, whom two workers publish; and a worker whose predecessor wrote to a
  full Redis finds neither the positions nor the place in the stream that this one had come to, and
  publishes again what customers have seen;
- joining: a session waits until the snapshot has been read *after* the subscription was
  confirmed; then the newer of snapshot and remembered event is shown to it, and to the others
  too if they have not seen it;
- after a reconnect: the same, for every channel.

Delivery awaits nobody, takes no lock, and decodes nothing but an event's times.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from common.event import Moment
from common.frame import (
    ARRIVAL_PREFIX,
    CONTROL_PREFIX,
    DRIVER_SET_PREFIX,
    ENDED_PREFIX,
    driver_set_in,
    ended_frame,
    is_arrival_of,
    is_of_driver,
    update_frame,
)
from common.keys import order_arrival_key, order_ended_key, order_key
from common.trace import Stage, Tracing
from fanout.orders.frame_counts import FrameCounts
from fanout.orders.newest import driver_prefix, is_newer, is_since, moment_in, newest_arrival
from fanout.sockets.protocol import text_frame


class Watcher(Protocol):
    """What the hub needs of a session."""

    def offer(self, frame: bytes) -> None:
        """Show a whole WebSocket frame, or keep it if the socket is full."""

    def offer_beside(self, frame: bytes) -> None:
        """Likewise one that does not take the place of a position."""

    def end(self, frame: bytes) -> None:
        """Show the last frame, then close: tracking ended."""

    def postpone(self) -> None:
        """Close: nothing can be read now, try later."""


class Channel:
    """One order: its sessions and the newest event they have been shown."""

    __slots__ = (
        "arrival",
        "arrival_key",
        "ended",
        "ended_key",
        "key",
        "last",
        "live",
        "moment",
        "name",
        "order_id",
        "shown",
        "waiting",
    )

    def __init__(self, order_id: str, shown: FrameCounts | None = None) -> None:
        self.order_id = order_id
        self.shown = shown or FrameCounts()
        self.key = order_key(order_id)
        self.ended_key = order_ended_key(order_id)
        self.arrival_key = order_arrival_key(order_id)
        self.name = self.key.encode()
        # Sessions that get frames, and those whose snapshot has not been read yet.
        self.live: set[Watcher] = set()
        self.waiting: set[Watcher] = set()
        self.last: bytes | None = None
        # The times of the last event.
        self.moment: Moment | None = None
        self.ended = False
        # The newest arrival: shown to who has seen a position, and after it to who has not.
        self.arrival: bytes | None = None

    @property
    def watched(self) -> bool:
        """Whether any session is here."""
        return bool(self.live or self.waiting)

    def deliver(self, payload: bytes) -> None:
        """Show a message of the channel. The hot path: one frame, built once, for all."""
        if payload == self.last or self.ended:
            return
        if payload.startswith(CONTROL_PREFIX):
            self._obey(payload)
            return
        moment, before = moment_in(payload), self.moment
        if moment is None or (before is not None and not is_newer(moment, before)):
            return
        self.last, self.moment = payload, moment
        if self.live:
            frame = text_frame(update_frame(payload))
            # A write never disconnects within itself, so the set does not change here.
            for session in self.live:
                session.offer(frame)
            self.shown.frames += len(self.live)
        if before is None and self.arrival is not None:
            # Nobody has seen a position yet: the arrival that waited for one comes after it.
            self._show_arrival(self.arrival)

    def _obey(self, message: bytes) -> None:
        """Follow a message that is no event."""
        if message.startswith(ARRIVAL_PREFIX):
            self._take_arrival(message)
        elif message.startswith(ENDED_PREFIX):
            self.end()
        elif message.startswith(DRIVER_SET_PREFIX):
            driver_id = driver_set_in(message)
            if driver_id and self.last is not None and not is_of_driver(self.last, driver_id):
                # Another driver has the order now: its first event is shown, however old, and
                # who comes meanwhile is not shown the one before.
                self.last = self.moment = None

    def _take_arrival(self, frame: bytes) -> None:
        """Remember an arrival, and show it to who has seen a position of its driver."""
        if frame == self.arrival:
            return
        self.arrival = frame
        self._show_arrival(frame)

    def _show_arrival(self, frame: bytes) -> None:
        if self.live and self._is_due(frame):
            shown = text_frame(frame)
            for session in self.live:
                session.offer_beside(shown)

    def _is_due(self, arrival: bytes) -> bool:
        """Whether an arrival is of the driver that is shown now; before a position it waits."""
        return self.last is not None and is_arrival_of(arrival, driver_prefix(self.last))

    def refresh(
        self,
        snapshot: bytes | None,
        arrival: bytes | None = None,
        *,
        ended: bool,
        oldest: datetime,
    ) -> None:
        """Merge a snapshot that was read after the subscription was confirmed.

        The marker wins over the snapshot. Sessions that waited go live. A position, or an arrival,
        from before `oldest` says nothing about now: nobody is shown it.
        """
        if ended or self.ended:
            self.end()
            return
        if snapshot is not None and is_since(oldest, snapshot):
            self.deliver(snapshot)
        known = newest_arrival(self.arrival, arrival, oldest)
        if known is None:
            self.arrival = None
        else:
            self._take_arrival(known)
        waiting, self.waiting = self.waiting, set()
        self.live |= waiting
        if waiting and self.last is not None and is_since(oldest, self.last):
            frame = text_frame(update_frame(self.last))
            for session in waiting:
                session.offer(frame)
            if self.arrival is not None and self._is_due(self.arrival):
                frame = text_frame(self.arrival)
                for session in waiting:
                    session.offer_beside(frame)

    def end(self) -> None:
        """Tracking ended: say so to everybody and let them go."""
        self.ended = True
        frame = text_frame(ended_frame(self.order_id))
        for session in (*self.live, *self.waiting):
            session.end(frame)


class FollowedChannel(Channel):
    """One whose fixes leave lines if they are followed; used only while any is."""

    __slots__ = ("_tracing",)

    def __init__(self, order_id: str, shown: FrameCounts, tracing: Tracing) -> None:
        super().__init__(order_id, shown)
        self._tracing = tracing

    def deliver(self, payload: bytes) -> None:
        """As `Channel`; then a line, if the event was shown and is followed."""
        before = self.last
        super().deliver(payload)
        if self.last is payload is not before and self.live and self._tracing.picks(payload):
            self._tracing.note(Stage.SENT, payload)


class Hub:
    """Channel by order id. `routes` is what the bridge looks messages up in."""

    def __init__(
        self,
        routes: dict[bytes, Callable[[bytes], None]],
        shown: FrameCounts | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._routes = routes
        self._shown = shown or FrameCounts()
        self._tracing = tracing
        self.channels: dict[str, Channel] = {}
        # Channels that nobody watches, with the time the last watcher left, oldest first.
        self._idle: dict[Channel, float] = {}
        # Channels with sessions that wait, with the time the first of them came, oldest first.
        # One that was read meanwhile may still stand here.
        self._unread: dict[Channel, float] = {}

    def join(self, order_id: str, session: Watcher, now: float) -> Channel:
        """Add a session; it waits until the channel's next `refresh`."""
        channel = self.channels.get(order_id)
        if channel is None:
            channel = self.channels[order_id] = self._new_channel(order_id)
            self._routes[channel.name] = channel.deliver
        self._idle.pop(channel, None)
        if not channel.waiting:
            self._unread.pop(channel, None)
            self._unread[channel] = now
        channel.waiting.add(session)
        return channel

    def _new_channel(self, order_id: str) -> Channel:
        if self._tracing is not None and self._tracing.on:
            return FollowedChannel(order_id, self._shown, self._tracing)
        return Channel(order_id, self._shown)

    def watchers_of(self, order_id: str) -> int:
        """How many sessions watch an order."""
        channel = self.channels.get(order_id)
        return 0 if channel is None else len(channel.live) + len(channel.waiting)

    def holds(self, channel: Channel) -> bool:
        """Whether `channel` has not been forgotten."""
        return self.channels.get(channel.order_id) is channel

    def postpone_unread(self, before: float) -> None:
        """Send away the sessions of channels that have not been read since `before`."""
        overdue = []
        for channel, since in self._unread.items():
            if since > before:
                break
            overdue.append(channel)
        for channel in overdue:
            del self._unread[channel]
            for session in tuple(channel.waiting):
                session.postpone()

    def leave(self, channel: Channel, session: Watcher, now: float) -> bool:
        """Remove a session. Returns whether it was the channel's last."""
        channel.live.discard(session)
        channel.waiting.discard(session)
        if channel.watched or not self.holds(channel):
            return False
        self._idle[channel] = now
        return True

    def idle_since(self, before: float) -> list[Channel]:
        """Channels whose last watcher left at `before` or earlier."""
        idle = []
        for channel, left_at in self._idle.items():
            if left_at > before:
                break
            idle.append(channel)
        return idle

    def forget(self, channels: Iterable[Channel]) -> list[bytes]:
        """Drop the channels that are still unwatched. Returns the names to unsubscribe."""
        names = []
        for channel in channels:
            if self._idle.pop(channel, None) is not None:
                self._unread.pop(channel, None)
                del self.channels[channel.order_id]
                del self._routes[channel.name]
                names.append(channel.name)
        return names
