"""How many sockets there may be: in this process, and of one token, order or address. No I/O.

The limit on the process protects the machine. The others keep one party from taking what belongs
to all: a customer's link opens a few sockets, an order has a family of watchers, and no token at
all takes more than its share. An address is a limit only for sockets without a token: behind one
carrier's address are thousands of customers, each with a link of their own.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from common.access.address import is_loopback
from common.access.policy import Principal, Role
from common.problem import GOING_AWAY, SERVER_FULL, TOO_MANY_SOCKETS, Problem
from fanout.sockets.answers import Rejected

RETRY_AFTER_S: Final = 5
# A token of the fleet's own people (gateway, operator) may have this part of all sockets: one
# backend may watch for a whole shop, and a stolen key must not shut out the rest.
TRUSTED_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Most sockets of each kind in this process; 0 means no limit (but for `process`)."""

    process: int
    per_token: int = 0
    per_order: int = 0
    per_address: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """What one socket counts against; None where it does not."""

    token: str | None = None
    order_id: str | None = None
    address: str | None = None


class Places:
    """FanoutCounts the places that are taken."""

    def __init__(self, limits: SocketLimits) -> None:
        self.limits = limits
        self.draining = False
        self.taken = 0
        # (kind, whose): places taken.
        self.counts: Counter[tuple[str, str]] = Counter()

    def require_room(self) -> None:
        """Raise `Rejected` when the process has no room for anybody."""
        if self.draining:
            raise _rejected(GOING_AWAY, "the server is going away")
        if self.taken >= self.limits.process:
            raise _rejected(SERVER_FULL, "all sockets are taken")

    def require_place(self, place: Place, principal: Principal | None = None) -> None:
        """Raise `Rejected` when one of the parties of `place` has all the sockets it may have."""
        per_token = self.limits.per_token
        if principal is not None and principal.role is not Role.TRACKER:
            per_token = max(1, int(self.limits.process * TRUSTED_SHARE))
        for kind, whose, most in (
            ("token", place.token, per_token),
            ("order", place.order_id, self.limits.per_order),
            ("address", place.address, self.limits.per_address),
        ):
            if most and whose is not None and self.counts[kind, whose] >= most:
                raise _rejected(TOO_MANY_SOCKETS, f"all sockets of this {kind} are taken")

    def take(self, place: Place) -> None:
        """Count a socket in."""
        self.taken += 1
        self.counts.update(_keys(place))

    def give_back(self, place: Place) -> None:
        """Count a socket out."""
        self.taken -= 1
        for key in _keys(place):
            self.counts[key] -= 1
            if self.counts[key] <= 0:
                del self.counts[key]


def place_of(principal: Principal | None, order_id: str | None, address: str) -> Place:
    """What a socket counts against. Who is on this machine is no stranger to it."""
    if principal is not None:
        return Place(token_of(principal), order_id)
    return Place(None, order_id, None if is_loopback(address) else address)


def token_of(principal: Principal) -> str:
    """What tells one token or key from another; a token without an id is its subject's."""
    if principal.key_id:
        return f"key {principal.key_id}"
    if principal.token_id:
        return f"jti {principal.token_id}"
    return f"{principal.role} {principal.subject}"


def _keys(place: Place) -> list[tuple[str, str]]:
    parties = (("token", place.token), ("order", place.order_id), ("address", place.address))
    return [(kind, whose) for kind, whose in parties if whose is not None]


def _rejected(problem: Problem, detail: str) -> Rejected:
    return Rejected(problem, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
