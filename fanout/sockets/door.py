"""The handshake: who comes in, who is refused and how. Nothing here waits.

picows calls with the parsed request before it validates the upgrade, so limits, origin and
access are answered in plain HTTP, and a refused client never costs a socket's memory.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol, WSTransport  # type: ignore[attr-defined]

from common.access.origin import parse_origins
from common.errors import InvalidUpdate
from common.log import get
from common.settings import Settings
from fanout.counts import Counts
from fanout.fleet.feed import Feed
from fanout.orders.subscriptions import Subscriptions
from fanout.probe import Probe
from fanout.sockets.answers import Answer, json_answer, problem
from fanout.sockets.policy import Policy, Verdict, WatchRequest
from fanout.sockets.request import (
    LIVE_PATH,
    SUBPROTOCOL,
    FleetTarget,
    OrderTarget,
    PageTarget,
    client_address,
    offers_subprotocol,
    origin_allowed,
    read_target,
    split_target,
    wants_upgrade,
)
from fanout.sockets.session import Session
from fanout.sockets.sessions import Sessions

# Connections whose request has not arrived; past it new ones are dropped unanswered. They are
# not sessions yet, so the limit on sessions does not hold them back.
HANDSHAKES_MAX: Final = 4_096
# Read buffer of an idle socket, in bytes. picows' default of 16 KiB doubles a socket's memory.
READ_BUFFER_BYTES: Final = 1_024
RETRY_AFTER_S: Final = 5


class Quiet(logging.LoggerAdapter[logging.Logger]):
    """picows logs several lines per connection; here strangers decide how many there are."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        """Nothing is worth formatting."""
        return False

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Say nothing, but a bug in a listener."""
        if kwargs.get("exc_info"):
            get("picows").error("listener.failed", detail=str(msg), exc_info=True)


_QUIET: Final = Quiet(logging.getLogger("picows"))


def new_protocol(factory: Any, *, handshake_timeout_s: float, message_bytes_max: int) -> WSProtocol:
    """A server-side connection of picows with the core's conveniences off."""
    return WSProtocol(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=factory,
        logger=_QUIET,
        disconnect_on_exception=True,
        websocket_handshake_timeout=handshake_timeout_s,
        # One wheel pings all sessions; and pongs are withheld from those who do not read.
        enable_auto_ping=False,
        auto_ping_idle_timeout=0,
        auto_ping_reply_timeout=0,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=False,
        max_frame_size=message_bytes_max,
        extra_headers=None,
        read_buffer_init_size=READ_BUFFER_BYTES,
    )


class _Turned(asyncio.Protocol):
    """A connection beyond `HANDSHAKES_MAX`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drop it."""
        transport.close()


class _Handshake:
    """Remembers which connection a request came on; picows does not say."""

    __slots__ = ("_door", "protocol")

    def __init__(self, door: "Door") -> None:
        self._door = door
        self.protocol: WSProtocol | None = None

    def __call__(self, request: WSUpgradeRequest) -> WSListener | Answer:
        peer = None
        if self.protocol is not None:
            peer = self.protocol.transport.underlying_transport.get_extra_info("peername")
            # Without this the two would keep each other alive.
            self.protocol = None
        return self._door.answer(self, request, peer[0] if isinstance(peer, tuple) else "")


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

    __slots__ = ("feed", "target")

    def __init__(self, target: FleetTarget, feed: Feed, **session: Any) -> None:
        super().__init__(**session)
        self.target = target
        self.feed = feed

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Look at the box."""
        super().on_ws_connected(transport)
        self.feed.add(self, self.target.box, self.target.positions_max)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Look away."""
        super().on_ws_disconnected(transport)
        self.feed.remove(self)


class Door:
    """Judges handshakes."""

    def __init__(
        self,
        settings: Settings,
        *,
        policy: Policy,
        sessions: Sessions,
        subscriptions: Subscriptions,
        feed: Feed,
        probe: Probe,
        counts: Counts,
        sessions_max: int,
    ) -> None:
        self._settings = settings
        self._origins = frozenset(parse_origins("WS_ORIGINS", settings.ws_origins))
        self._policy = policy
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._feed = feed
        self._probe = probe
        self._counts = counts
        self._sessions_max = sessions_max
        # Connections whose request has not come yet.
        self.pending: set[_Handshake] = set()
        self.draining = False

    def connection(self) -> asyncio.BaseProtocol:
        """The server's protocol factory."""
        if len(self.pending) >= HANDSHAKES_MAX:
            return _Turned()
        handshake = _Handshake(self)
        handshake.protocol = new_protocol(
            handshake,
            handshake_timeout_s=self._settings.handshake_timeout_s,
            message_bytes_max=self._settings.inbound_bytes_max,
        )
        self.pending.add(handshake)
        return handshake.protocol  # type: ignore[no-any-return]

    def forget_gone(self) -> None:
        """Uncount connections that went before a whole request came; picows tells nobody."""
        for handshake in tuple(self.pending):
            transport = None if handshake.protocol is None else handshake.protocol.transport
            if transport is not None and transport.is_disconnected:
                handshake.protocol = None
                self.pending.discard(handshake)

    def close(self) -> None:
        """Let nobody in any more, and drop those whose request has not come."""
        self.draining = True
        for handshake in self.pending:
            if handshake.protocol is not None and handshake.protocol.transport is not None:
                handshake.protocol.transport.disconnect(False)

    def answer(
        self, handshake: _Handshake, request: WSUpgradeRequest, peer: str
    ) -> WSListener | Answer:
        """Let a client in, or say why not."""
        self.pending.discard(handshake)
        try:
            answer = self._judge(request, peer)
        except InvalidUpdate as e:
            answer = problem(HTTPStatus(e.status), e.detail, faults=e.faults)
        status = answer.response.status
        if status not in (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.OK):
            self._counts.refused[status.value] += 1
        return answer

    def _judge(self, request: WSUpgradeRequest, peer: str) -> Answer:
        headers = request.headers
        path, query = split_target(request.path)
        target = read_target(path, query)
        if target is None:
            return problem(HTTPStatus.NOT_FOUND, "there is nothing here")
        if isinstance(target, PageTarget):
            return self._health(target)
        address = client_address(peer, headers)
        full = self._full(address)
        if not wants_upgrade(headers):
            # Browsers do not tell a page why its handshake failed; it asks here, without one.
            return full or problem(HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket")
        # picows compares the whole header; Firefox sends `keep-alive, Upgrade`.
        headers["Connection"] = "upgrade"
        if not origin_allowed(headers, self._origins):
            return problem(HTTPStatus.FORBIDDEN, "this origin may not watch")
        if full is not None:
            return full
        order_id = target.order_id if isinstance(target, OrderTarget) else None
        verdict = self._policy.authorize(WatchRequest(order_id, address, headers, query))
        if verdict.status is not HTTPStatus.SWITCHING_PROTOCOLS:
            return problem(verdict.status, verdict.detail, headers=verdict.headers)
        extra = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if offers_subprotocol(headers) else None
        response = WSUpgradeResponse.create_101_response(extra)
        return WSUpgradeResponseWithListener(response, self._session(target, address, verdict))

    def _session(
        self, target: OrderTarget | FleetTarget, address: str, verdict: Verdict
    ) -> Session:
        common = {
            "principal": verdict.principal,
            "owner": self._sessions,
            "address": address,
            "inbound_bytes_max": self._settings.inbound_bytes_max,
        }
        if isinstance(target, OrderTarget):
            return CustomerSession(target.order_id, self._subscriptions, **common)
        return OperatorSession(target, self._feed, **common)

    def _full(self, address: str) -> Answer | None:
        settings, reason = self._settings, None
        per_address = settings.fanout_connections_per_address_max
        if self.draining:
            reason = "the server is going away"
        elif len(self._sessions.open) >= self._sessions_max:
            reason = "all sockets are taken"
        elif per_address and self._sessions.by_address[address] >= per_address:
            reason = "all sockets of this address are taken"
        if reason is None:
            return None
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, retry_after_s=RETRY_AFTER_S)

    def _health(self, target: PageTarget) -> Answer:
        if target.path == LIVE_PATH:
            return json_answer(HTTPStatus.OK, {"status": "ok"})
        # What is going on here is for operators; strangers reach this port too.
        gauges = (
            {}
            if self._settings.auth == "on"
            else {
                "sessions": len(self._sessions.open),
                "operators": len(self._feed.operators),
                "channels": len(self._subscriptions.hub.channels),
                "full": len(self._sessions.full),
            }
        )
        if self._probe.delivering and not self.draining:
            return json_answer(HTTPStatus.OK, {"status": "delivering", **gauges})
        body = {"status": "not delivering", **gauges}
        return json_answer(HTTPStatus.SERVICE_UNAVAILABLE, body)
