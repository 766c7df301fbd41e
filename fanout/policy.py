"""The one question asked before a socket is opened: may this client watch this?

The default allows everybody (AUTH=off). An access policy is an object with this method; it must
answer from memory, since it runs inside the handshake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a client asks to watch: an order, or the operators' stream when `order_id` is None."""

    order_id: str | None
    address: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """101 lets the client in; any other status is answered with `detail`, before the upgrade."""

    status: HTTPStatus = HTTPStatus.SWITCHING_PROTOCOLS
    detail: str = ""


ALLOWED = Verdict()


class Policy(Protocol):
    """Who may watch what."""

    def authorize(self, request: WatchRequest) -> Verdict:
        """Judge a handshake."""


class AllowAll:
    """The policy with access control off."""

    def authorize(self, request: WatchRequest) -> Verdict:
        """Let everybody in."""
        return ALLOWED
