"""Which sessions watch which order, and what each channel has shown: the rules, no I/O.

A channel remembers the newest event's bytes. Everything goes through that one value, so there
is no gap, no repeat, and nothing older after newer:

- live: what arrives is shown, unless it is the very bytes shown last (a redelivery);
- joining: a session waits until the snapshot has been read *after* the subscription was
  confirmed; then the newer of snapshot and remembered event is shown to it, and to the others
  too if they have not seen it;
- after a reconnect: the same, for every channel.

Delivery awaits nobody, takes no lock and decodes nothing. Only a merge compares times.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from common.errors import PoisonEntry
from common.event import moment_of
from common.frame import CONTROL_PREFIX, ENDED_PREFIX, ended_frame, update_frame
from common.keys import order_ended_key, order_key
from fanout.sockets.protocol import text_frame


class Watcher(Protocol):
    """What the hub needs of a session."""

    def offer(self, frame: bytes) -> None:
        """Show a whole WebSocket frame, or keep it if the socket is full."""

    def end(self, frame: bytes) -> None:
        """Show the last frame, then close: tracking ended."""


class Channel:
    """One order: its sessions and the newest event they have been shown."""

    __slots__ = ("ended", "ended_key", "key", "last", "live", "name", "order_id", "waiting")

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.key = order_key(order_id)
        self.ended_key = order_ended_key(order_id)
        self.name = self.key.encode()
        # Sessions that get frames, and those whose snapshot has not been read yet.
        self.live: set[Watcher] = set()
        self.waiting: set[Watcher] = set()
        self.last: bytes | None = None
        self.ended = False

    @property
    def watched(self) -> bool:
        """Whether any session is here."""
        return bool(self.live or self.waiting)

    def deliver(self, payload: bytes) -> None:
        """Show a message of the channel. The hot path: one frame, built once, for all."""
        if payload == self.last or self.ended:
            return
        if payload.startswith(CONTROL_PREFIX):
            if payload.startswith(ENDED_PREFIX):
                self.end()
            return
        self.last = payload
        if self.live:
            frame = text_frame(update_frame(payload))
            # A write never disconnects within itself, so the set does not change here.
            for session in self.live:
                session.offer(frame)

    def refresh(self, snapshot: bytes | None, *, ended: bool, oldest: datetime) -> None:
        """Merge a snapshot that was read after the subscription was confirmed.

        The marker wins over the snapshot. Sessions that waited go live. A position from before
        `oldest` says nothing about now: nobody is shown it.
        """
        if ended or self.ended:
            self.end()
            return
        if snapshot is not None and newer(snapshot, self.last) and is_since(oldest, snapshot):
            self.deliver(snapshot)
        waiting, self.waiting = self.waiting, set()
        self.live |= waiting
        if waiting and self.last is not None and is_since(oldest, self.last):
            frame = text_frame(update_frame(self.last))
            for session in waiting:
                session.offer(frame)

    def end(self) -> None:
        """Tracking ended: say so to everybody and let them go."""
        self.ended = True
        frame = text_frame(ended_frame(self.order_id))
        for session in (*self.live, *self.waiting):
            session.end(frame)


def newer(event: bytes, than: bytes | None) -> bool:
    """Whether `event` is newer by effective time. Bytes that are no event are never newer."""
    if event == than:
        return False
    try:
        moment = moment_of(event)
        return than is None or moment > moment_of(than)
    except PoisonEntry:
        return False


def is_since(oldest: datetime, event: bytes) -> bool:
    """Whether `event` counts as of `oldest` or later. Bytes that are no event never do."""
    try:
        return moment_of(event)[0] >= oldest
    except PoisonEntry:
        return False


class Hub:
    """Channel by order id. `routes` is what the bridge looks messages up in."""

    def __init__(self, routes: dict[bytes, Callable[[bytes], None]]) -> None:
        self._routes = routes
        self.channels: dict[str, Channel] = {}
        # Channels that nobody watches, with the time the last watcher left, oldest first.
        self._idle: dict[Channel, float] = {}

    def join(self, order_id: str, session: Watcher) -> Channel:
        """Add a session; it waits until the channel's next `refresh`."""
        channel = self.channels.get(order_id)
        if channel is None:
            channel = self.channels[order_id] = Channel(order_id)
            self._routes[channel.name] = channel.deliver
        self._idle.pop(channel, None)
        channel.waiting.add(session)
        return channel

    def leave(self, channel: Channel, session: Watcher, now: float) -> bool:
        """Remove a session. Returns whether it was the channel's last."""
        channel.live.discard(session)
        channel.waiting.discard(session)
        if channel.watched or self.channels.get(channel.order_id) is not channel:
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
                del self.channels[channel.order_id]
                del self._routes[channel.name]
                names.append(channel.name)
        return names
