"""How many sockets there may be: in this process, and of one token, order or address. No I/O.

The limit on the process protects the machine. The others keep one party from taking what belongs
to all: a customer's link opens a few sockets, an order has a family of watchers, and no token at
all takes more than its share. An address is a limit only for sockets without a token: behind one
carrier's address are thousands of customers, each with a link of their own.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.access.address import household, is_loopback
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


class Places:
    """Counts the places that are taken. `watchers_of` says how many sockets watch an order."""

    def __init__(self, limits: SocketLimits, watchers_of: Callable[[str], int]) -> None:
        self.limits = limits
        self._watchers_of = watchers_of
        self.draining = False
        self.taken = 0
        # Places taken by each token or address, see `holder_of`.
        self.held: Counter[str] = Counter()

    def require_room(self) -> None:
        """Raise `Rejected` when the process has no room for anybody."""
        if self.draining:
            raise _rejected(GOING_AWAY, "the server is going away")
        if self.taken >= self.limits.process:
            raise _rejected(SERVER_FULL, "all sockets are taken")

    def require_place(
        self, holder: str | None, principal: Principal | None, order_id: str | None
    ) -> None:
        """Raise `Rejected` when the holder or the order has all the sockets it may have."""
        most = self._most(principal)
        if holder is not None and most and self.held[holder] >= most:
            kind = "address" if principal is None else "token"
            raise _rejected(TOO_MANY_SOCKETS, f"all sockets of this {kind} are taken")
        most = self.limits.per_order
        if order_id is not None and most and self._watchers_of(order_id) >= most:
            raise _rejected(TOO_MANY_SOCKETS, "all sockets of this order are taken")

    def _most(self, principal: Principal | None) -> int:
        if principal is None:
            return self.limits.per_address
        if principal.role is Role.TRACKER:
            return self.limits.per_token
        return max(1, int(self.limits.process * TRUSTED_SHARE))

    def take(self, holder: str | None) -> None:
        """Count a socket in."""
        self.taken += 1
        if holder is not None:
            self.held[holder] += 1

    def give_back(self, holder: str | None) -> None:
        """Count a socket out."""
        self.taken -= 1
        if holder is not None:
            self.held[holder] -= 1
            if self.held[holder] <= 0:
                del self.held[holder]


def holder_of(principal: Principal | None, address: str) -> str | None:
    """What a socket counts against: its token, or its address where there is none.

    A client on this machine that needs no token is no stranger, and is not limited (None).
    """
    if principal is not None:
        return token_of(principal)
    return None if is_loopback(address) else f"address {household(address)}"


def token_of(principal: Principal) -> str:
    """What tells one token or key from another; a token without an id is its subject's."""
    if principal.key_id:
        return f"key {principal.key_id}"
    if principal.token_id:
        return f"jti {principal.token_id}"
    return f"{principal.role} {principal.subject}"


def _rejected(problem: Problem, detail: str) -> Rejected:
    return Rejected(problem, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
