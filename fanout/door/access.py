"""The policy of a running fan-out: with AUTH=on, who may watch what.

It answers from memory, since it runs inside the handshake. A token comes as a subprotocol (all
that a browser can set), as Authorization, or as `?token=`; it is written nowhere.

The token is judged first and counted after: refused handshakes count against their address, those
of a good link against the link alone. So strangers behind one carrier's address never hold back
a customer who shares it.
"""

from collections.abc import Mapping
from typing import Final

from common.access.address import AddressLimiter
from common.access.attempts import AttemptLimiter
from common.access.claims import unknown
from common.access.gate import Gate, credential_of
from common.access.policy import Principal, Role, allowed
from common.errors import Overloaded, Refused
from common.problem import TOO_FAST, TOO_MANY_REFUSED, UNAVAILABLE, Problem, problem_of
from fanout.door.policy import WatchRequest
from fanout.sockets.answers import Rejected
from fanout.sockets.places import token_of

# Offered beside the protocol that is chosen, with the token behind it.
BEARER_PROTOCOL: Final = "bearer."


class AccessPolicy:
    """Judges handshakes. Limits are events in a minute, 0 for none; `gate` is None with AUTH=off.

    `handshakes` limits a customer's link. Gateways and operators are the fleet's own, and come
    back all at once after a restart.
    """

    def __init__(self, gate: Gate | None, *, handshakes: int, refusals: int) -> None:
        self._gate = gate
        self._handshakes = AttemptLimiter(handshakes)
        self._refusals = AddressLimiter(refusals)

    def authorize(self, request: WatchRequest) -> Principal | None:
        """Who asks, None with AUTH=off. Raises `Rejected`."""
        if self._gate is None:
            return None
        try:
            principal = self._gate.verify(offered(request.headers, request.query))
            require_watch(principal, request)
        except Overloaded as e:
            raise Rejected(UNAVAILABLE, e.detail, headers={"Retry-After": "1"}) from e
        except Refused as e:
            if wait_s := self._refusals.note(request.address):
                detail = "too many refused requests from this address"
                raise _too_many(TOO_MANY_REFUSED, detail, wait_s) from e
            raise Rejected(problem_of(e.status), e.detail, headers=dict(e.headers)) from e
        if principal.role is Role.TRACKER and (
            wait_s := self._handshakes.note(token_of(principal))
        ):
            raise _too_many(TOO_FAST, "too many handshakes with this token", wait_s)
        return principal


def require_watch(principal: Principal, request: WatchRequest) -> None:
    """Raise `Refused` unless `principal` may watch what it asks for."""
    if not allowed(principal, request.action, order_id=request.order_id):
        raise Refused(403, f"a {principal.role} may not {request.action.value}")


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


def _too_many(problem: Problem, detail: str, wait_s: int) -> Rejected:
    return Rejected(problem, detail, headers={"Retry-After": str(wait_s)})
