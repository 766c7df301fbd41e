"""What a session watches: a customer one order, an operator a box of the map or the events."""

from common.access.policy import Principal
from common.problem import TOO_MANY_SOCKETS
from fanout.door.request import FleetTarget, OrderTarget, SocketTarget
from fanout.events.feed import EventFeed
from fanout.fleet.box import BoxSubscription
from fanout.fleet.feed import FleetFeed
from fanout.orders.hub import Channel
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.answers import Rejected
from fanout.sockets.session import Owner, Session, Watch


class OrderWatch:
    """One order, while a customer's session lasts."""

    __slots__ = ("channel", "order_id", "subscriptions")

    def __init__(self, order_id: str, subscriptions: Subscriptions) -> None:
        self.order_id = order_id
        self.subscriptions = subscriptions
        self.channel: Channel

    def begin(self, session: Session) -> None:
        """Join the order's channel."""
        self.channel = self.subscriptions.join(self.order_id, session)

    def end(self, session: Session) -> None:
        """Leave it."""
        self.subscriptions.leave(self.channel, session)


class BoxWatch:
    """One box of the map, while an operator's session lasts."""

    __slots__ = ("feed", "subscription")

    def __init__(self, subscription: BoxSubscription, feed: FleetFeed) -> None:
        self.subscription = subscription
        self.feed = feed

    def begin(self, session: Session) -> None:
        """Subscribe to the box."""
        self.feed.add(session, self.subscription)

    def end(self, session: Session) -> None:
        """Leave it."""
        self.feed.remove(session)


class EventWatch:
    """All that happens, while a session lasts."""

    __slots__ = ("feed",)

    def __init__(self, feed: EventFeed) -> None:
        self.feed = feed

    def begin(self, session: Session) -> None:
        """Read from now on."""
        self.feed.add(session)

    def end(self, session: Session) -> None:
        """Leave."""
        self.feed.remove(session)


class SessionFactory:
    """Makes the session of an accepted handshake."""

    def __init__(
        self,
        owner: Owner,
        subscriptions: Subscriptions,
        feed: FleetFeed,
        events: EventFeed,
        *,
        inbound_bytes_max: int,
    ) -> None:
        self._owner = owner
        self._subscriptions = subscriptions
        self._feed = feed
        self._events = events
        self._inbound_bytes_max = inbound_bytes_max

    def create(
        self, target: SocketTarget, holder: str | None, principal: Principal | None
    ) -> Session:
        """A session that is not connected yet. Raises `Rejected` where there is no room for it."""
        watch: Watch
        if isinstance(target, OrderTarget):
            watch = OrderWatch(target.order_id, self._subscriptions)
        elif isinstance(target, FleetTarget):
            if not self._feed.has_room(target.subscription.box):
                raise Rejected(TOO_MANY_SOCKETS, "too many different boxes are watched")
            watch = BoxWatch(target.subscription, self._feed)
        else:
            if not self._events.has_room():
                raise Rejected(TOO_MANY_SOCKETS, "too many read the events here")
            watch = EventWatch(self._events)
        return Session(self._owner, watch, self._inbound_bytes_max, holder, principal)
