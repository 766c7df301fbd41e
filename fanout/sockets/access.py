"""The policy of a running fan-out: limits per address, and with AUTH=on who may watch what.

It answers from memory, since it runs inside the handshake. A token comes as a subprotocol (all
that a browser can set), as Authorization, or as `?token=`; it is written nowhere.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from common.access.address import AttemptLimiter
from common.access.claims import unknown
from common.access.gate import Gate, credential_of
from common.access.policy import Action, Principal, allowed
from common.errors import Overloaded, Refused
from common.settings import Settings
from fanout.sockets.policy import ALLOWED, Verdict, WatchRequest

# Offered beside the protocol that is chosen, with the token behind it.
BEARER_PROTOCOL: Final = "bearer."


class AccessPolicy:
    """Judges handshakes. `gate` is None with AUTH=off."""

    def __init__(self, settings: Settings, gate: Gate | None) -> None:
        self._gate = gate
        self._handshakes = AttemptLimiter(settings.handshakes_per_address_max)
        self._refusals = AttemptLimiter(settings.refusals_per_address_max)

    def authorize(self, request: WatchRequest) -> Verdict:
        """Let in, or say why not."""
        if wait_s := self._handshakes.note(request.address):
            return _too_many("too many handshakes from this address", wait_s)
        if self._gate is None:
            return ALLOWED
        try:
            principal = self._gate.verify(offered(request.headers, request.query))
            require_watch(principal, request.order_id)
        except Overloaded as e:
            return Verdict(HTTPStatus.SERVICE_UNAVAILABLE, e.detail, headers={"Retry-After": "1"})
        except Refused as e:
            if wait_s := self._refusals.note(request.address):
                return _too_many("too many refused requests from this address", wait_s)
            return Verdict(HTTPStatus(e.status), e.detail, headers=dict(e.headers))
        return Verdict(principal=principal)


def require_watch(principal: Principal, order_id: str | None) -> None:
    """Raise `Refused` unless `principal` may watch the order, or the fleet for None."""
    action = Action.WATCH_FLEET if order_id is None else Action.READ_ORDER
    if not allowed(principal, action, order_id=order_id):
        raise Refused(HTTPStatus.FORBIDDEN, f"a {principal.role} may not {action.value}")


def offered(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The token or key of a handshake. Raises `Refused` when there is none."""
    for name in headers.get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith(BEARER_PROTOCOL):
            return name.strip().removeprefix(BEARER_PROTOCOL)
    if header := headers.get("authorization"):
        return credential_of(header)
    if token := query.get("token"):
        return token
    raise unknown()


def _too_many(detail: str, wait_s: int) -> Verdict:
    return Verdict(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(wait_s)})
