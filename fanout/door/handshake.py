"""The handshake: who comes in, who is refused and why. Nothing here waits or writes.

Everything is judged on the request's head, so a refused client gets plain HTTP and never costs a
socket's memory. The order matters: what protects the process comes first, then what a stranger
can be told, then the token, and what is counted against a token comes after it was judged.
"""

from dataclasses import dataclass
from typing import Final

from picows import WSListener

from common.access.address import FrontDoors
from common.errors import InvalidUpdate
from common.problem import NOT_FOUND, UPGRADE_REQUIRED, problem_of
from fanout.door.browser_rule import BrowserRule
from fanout.door.head import Head
from fanout.door.health import HealthPage
from fanout.door.policy import Policy, WatchRequest
from fanout.door.request import (
    LIVE_PATH,
    WEBSOCKET_VERSION,
    OrderTarget,
    PageTarget,
    action_of,
    chosen_subprotocol,
    client_address,
    read_key,
    read_target,
    split_target,
    wants_upgrade,
)
from fanout.door.watches import SessionFactory
from fanout.sockets.answers import PlainAnswer, Rejected
from fanout.sockets.places import Places, holder_of

# What a 426 must say (RFC 9110 section 15.5.22, RFC 6455 section 4.4).
_UPGRADE: Final = {
    "Upgrade": "websocket",
    "Connection": "upgrade, close",
    "Sec-WebSocket-Version": WEBSOCKET_VERSION,
}


@dataclass(frozen=True, slots=True)
class NewSocket:
    """A handshake that becomes a socket: who listens on it, and what the 101 answers to."""

    listener: WSListener
    key: str
    subprotocol: str | None = None


class Handshake:
    """Decides about heads."""

    def __init__(
        self,
        *,
        browsers: BrowserRule,
        policy: Policy,
        places: Places,
        sessions: SessionFactory,
        health: HealthPage,
        doors: FrontDoors,
    ) -> None:
        self._browsers = browsers
        self._policy = policy
        self._places = places
        self._sessions = sessions
        self._health = health
        self._doors = doors

    def decide(self, head: Head, peer: str) -> PlainAnswer | NewSocket:
        """Let the client of `head` in, or answer it. Raises `Rejected`."""
        try:
            path, query = split_target(head.target)
            target = read_target(path, query)
            if target != PageTarget(LIVE_PATH):
                self._browsers.require_local(head.headers)
            if target is None:
                raise Rejected(NOT_FOUND, "there is nothing here")
            if isinstance(target, PageTarget):
                return self._health.answer(target.path)
            self._require_socket(head)
            key = read_key(head.headers)
        except InvalidUpdate as e:
            raise Rejected(problem_of(e.status), e.detail, faults=e.faults) from e
        headers = head.headers
        address = client_address(peer, headers, self._doors)
        order_id = target.order_id if isinstance(target, OrderTarget) else None
        request = WatchRequest(action_of(target), order_id, address, headers, query)
        principal = self._policy.authorize(request)
        holder = holder_of(principal, address)
        self._places.require_place(holder, principal, order_id)
        session = self._sessions.create(target, holder, principal)
        return NewSocket(session, key, chosen_subprotocol(headers))

    def _require_socket(self, head: Head) -> None:
        """Raise `Rejected` unless a socket can be opened here by whoever asks, token aside."""
        self._places.require_room()
        if not (head.may_upgrade and wants_upgrade(head.headers)):
            # Browsers do not tell a page why its handshake failed; it asks here, without one.
            raise Rejected(UPGRADE_REQUIRED, "this is a WebSocket", headers=_UPGRADE)
        if head.headers.get("sec-websocket-version") != WEBSOCKET_VERSION:
            detail = f"WebSocket version {WEBSOCKET_VERSION} is spoken here"
            raise Rejected(UPGRADE_REQUIRED, detail, headers=_UPGRADE)
        self._browsers.require_origin(head.headers)
