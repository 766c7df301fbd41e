"""The one question asked before a socket is opened: may this client watch this?

A policy is an object with this method; it must answer from memory, since it runs inside the
handshake. `access.AccessPolicy` is the one of a running fan-out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from common.access.policy import Action, Principal


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a client asks to watch: an order, or what `action` says when `order_id` is None."""

    action: Action
    order_id: str | None
    address: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


class Policy(Protocol):
    """Who may watch what."""

    def authorize(self, request: WatchRequest) -> Principal | None:
        """Who asks, None where nobody is asked for a token. Raises `Rejected`."""
