"""Whose request it is, for limits per address; and how often an address was refused. Pure.

Counts are each process' own and bounded; what is forgotten only starts anew.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

# Addresses remembered by one process; past it the one that was quiet longest is forgotten.
ADDRESSES_MAX = 20_000
WINDOW_S = 60.0


def client_address(peer: str, real_ip: str, forwarded_for: str) -> str:
    """Whose connection counts. Only a proxy on this machine may speak for another address.

    The last address of X-Forwarded-For is the one our own proxy saw; those before are hearsay.
    """
    if not is_loopback(peer):
        return peer
    named = (real_ip or forwarded_for.rpartition(",")[2]).strip()
    try:
        return str(ipaddress.ip_address(named)) if named else peer
    except ValueError:
        return peer


def is_loopback(address: str) -> bool:
    """Whether it is this machine. A Unix socket has no address: whoever connects is on it."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


def _group(address: str) -> str:
    """What counts as one address: all of IPv6's /64 are one household's."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return address


class AttemptLimiter:
    """At most `per_minute` events an address and minute; 0 means no limit.

    A peer on this machine is not limited: it is no stranger, or a proxy that names nobody.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        # Address -> (end of its window, events in it).
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> int:
        """Count one; 0, or the seconds to wait when there were too many."""
        if not self._per_minute or is_loopback(address):
            return 0
        key = _group(address)
        now = self._now()
        ends_at, count = self._windows.get(key, (0.0, 0))
        if ends_at <= now:
            ends_at, count = now + WINDOW_S, 0
        self._windows[key] = (ends_at, count + 1)
        self._windows.move_to_end(key)
        if len(self._windows) > ADDRESSES_MAX:
            self._windows.popitem(last=False)
        return 0 if count < self._per_minute else math.ceil(ends_at - now)
