"""Which pages' sockets are taken. Pure.

A browser lets any page open a socket to anywhere, and says in the handshake which page it is.
Programs that are no browsers say nothing, and are judged by their token alone.
"""

from collections.abc import Collection, Mapping

from common.access.local_rule import LocalRule
from common.access.origin import is_same_host
from common.problem import ORIGIN_NOT_ALLOWED
from fanout.sockets.answers import Rejected


class BrowserRule:
    """`origins` are those of WS_ORIGINS; `local` is the rule of AUTH=off."""

    def __init__(self, origins: Collection[str], local: LocalRule | None) -> None:
        self._origins = origins
        self._local = local

    def require_local(self, headers: Mapping[str, str]) -> None:
        """Raise `Rejected` for what AUTH=off takes from nobody; see `common.access.local_rule`."""
        if self._local is None:
            return
        problem = self._local.problem(
            headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site")
        )
        if problem is not None:
            raise Rejected(problem, "AUTH=off takes requests of this machine's own pages alone")

    def require_origin(self, headers: Mapping[str, str]) -> None:
        """Raise `Rejected` when a page of this origin may not watch.

        Without a list only pages of the same host may: browsers would otherwise let any page that
        a customer visits watch in the customer's name.
        """
        origin = headers.get("origin")
        if origin is None:
            return
        if self._origins:
            allowed = origin in self._origins
        else:
            allowed = is_same_host(origin, headers.get("host", ""))
        if not allowed:
            raise Rejected(ORIGIN_NOT_ALLOWED, "pages of this origin may not watch")
