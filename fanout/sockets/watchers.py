"""The two kinds of sessions: a customer watches one order, an operator a box of the map."""

from typing import Any

from picows import WSTransport

from common.access.policy import Principal
from fanout.fleet.box import BoxSubscription
from fanout.fleet.feed import FleetFeed
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.places import Place
from fanout.sockets.request import FleetTarget, OrderTarget
from fanout.sockets.session import Owner, Session


class CustomerSession(Session):
    """A session that watches one order."""

    __slots__ = ("channel", "order_id", "subscriptions")

    def __init__(self, order_id: str, subscriptions: Subscriptions, **session: Any) -> None:
        super().__init__(**session)
        self.order_id = order_id
        self.subscriptions = subscriptions

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Join the order's channel."""
        super().on_ws_connected(transport)
        self.channel = self.subscriptions.join(self.order_id, self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leave it."""
        super().on_ws_disconnected(transport)
        self.subscriptions.leave(self.channel, self)


class OperatorSession(Session):
    """A session that watches a box of the map."""

    __slots__ = ("feed", "subscription")

    def __init__(self, subscription: BoxSubscription, feed: FleetFeed, **session: Any) -> None:
        super().__init__(**session)
        self.subscription = subscription
        self.feed = feed

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Subscribe to the box."""
        super().on_ws_connected(transport)
        self.feed.add(self, self.subscription)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leave it."""
        super().on_ws_disconnected(transport)
        self.feed.remove(self)


class SessionFactory:
    """Makes the session of an accepted handshake."""

    def __init__(
        self, owner: Owner, subscriptions: Subscriptions, feed: FleetFeed, *, inbound_bytes_max: int
    ) -> None:
        self._owner = owner
        self._subscriptions = subscriptions
        self._feed = feed
        self._inbound_bytes_max = inbound_bytes_max

    def create(
        self, target: OrderTarget | FleetTarget, place: Place, principal: Principal | None
    ) -> Session:
        """A session that is not connected yet."""
        session = {
            "owner": self._owner,
            "place": place,
            "principal": principal,
            "inbound_bytes_max": self._inbound_bytes_max,
        }
        if isinstance(target, OrderTarget):
            return CustomerSession(target.order_id, self._subscriptions, **session)
        return OperatorSession(target.subscription, self._feed, **session)
