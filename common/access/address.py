"""Whose request it is, for limits per address; and how often an address was refused. Pure.

Counts are each process' own and bounded; what is forgotten only starts anew.
"""

import ipaddress
import time
from collections.abc import Callable, Iterable
from functools import lru_cache

from common.access.attempts import AttemptLimiter


class FrontDoors:
    """Where the front door may be: this machine, and `networks` (the setting FRONT_DOORS)."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def __contains__(self, peer: str) -> bool:
        if is_loopback(peer):
            return True
        return bool(self._networks) and any(_parsed(peer) in one for one in self._networks)


THIS_MACHINE = FrontDoors()


def client_address(peer: str, real_ip: str, doors: FrontDoors = THIS_MACHINE) -> str:
    """Whose connection counts: `peer`, or the address in `real_ip` (the header X-Real-IP).

    The header is believed from the front door alone: it overwrites what a client says there. No
    other header names an address to any part of the service.
    """
    if peer not in doors:
        return peer
    try:
        return str(_parsed(real_ip))
    except ValueError:
        return peer


def is_loopback(address: str) -> bool:
    """Whether it is this machine. A Unix socket has no address: its peers are on it."""
    try:
        return _parsed(address).is_loopback
    except ValueError:
        return True


@lru_cache(maxsize=1024)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; an IPv4 address that a dual-stack socket spells as IPv6 is what it was."""
    parsed = ipaddress.ip_address(address)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def household(address: str) -> str:
    """What counts as one address: all of IPv6's /64 are one household's."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return address


class AddressLimiter:
    """At most `per_minute` events an address and minute; 0 means no limit.

    A peer on this machine is not limited: it is no stranger, or a proxy that names no address.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._attempts = AttemptLimiter(per_minute, now=now)

    def note(self, address: str) -> int:
        """Count one; 0, or the seconds to wait when there were too many."""
        return 0 if is_loopback(address) else self._attempts.note(household(address))
