"""What is taken while AUTH=off: requests by this machine's own names, from no other site. Pure.

An open service is safe on loopback, except from a browser on the same machine: any page that it
shows may send requests to 127.0.0.1, and by a name of its own that it points at 127.0.0.1 (DNS
rebinding) may read the answers too. Browsers say of each request what page it is from, and by
which name it was asked for; this rule believes them. Other programs on the machine are free.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from common.access.origin import is_same_host
from common.problem import CROSS_SITE, HOST_NOT_ALLOWED, Problem

# Headers Host whose verdict is remembered: clients of one service send few, and each costs 10 µs.
HOSTS_REMEMBERED_MAX = 64

# What Sec-Fetch-Site says of a request of the same origin, and of one typed by a person.
_OWN_SITES = (None, "same-origin", "none")


class LocalRule:
    """The rule, with further hosts and origins that are allowed."""

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._is_own = lru_cache(HOSTS_REMEMBERED_MAX)(self._is_own_host)

    def problem(self, host: str, origin: str | None, fetch_site: str | None) -> Problem | None:
        """Why a request is refused, or None.

        Takes its headers Host (empty where there is none), Origin and Sec-Fetch-Site.
        """
        # Every browser names a host; what names none is no browser.
        if host and not self._is_own(host):
            return HOST_NOT_ALLOWED
        if origin is not None and origin in self._origins:
            return None
        if origin is not None and not is_same_host(origin, host):
            return CROSS_SITE
        return None if fetch_site in _OWN_SITES else CROSS_SITE

    def _is_own_host(self, host: str) -> bool:
        name = _name_of(host)
        if name == "localhost" or name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _name_of(host: str) -> str:
    """The name in a header Host: without its port, brackets and a dot at the end."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")
