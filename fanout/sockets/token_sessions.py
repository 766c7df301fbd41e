"""Sockets that came in with a token: closed when it expires or is revoked, within two seconds.

They stand in buckets by the second of their expiry, so that a sweep looks at those due and at no
other; a revocation, which is rare, looks at all.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from common.access.policy import Principal
from fanout.sockets.close_codes import TOKEN_EXPIRED
from fanout.sockets.session import Session

SWEEP_EVERY_S: Final = 0.5


class TokenSessions:
    """The sessions of principals; empty with AUTH=off."""

    def __init__(self, refuses: Callable[[Principal], bool] = lambda _: False) -> None:
        self._refuses = refuses
        self._due: dict[int, set[Session]] = {}
        self.sessions: dict[Session, Principal] = {}

    def add(self, session: Session) -> None:
        """Look after a session, if it came with a token or key."""
        principal = session.principal
        if principal is None:
            return
        self.sessions[session] = principal
        if principal.expires_at != math.inf:
            self._due.setdefault(_second(principal), set()).add(session)
        # It may have been revoked between the handshake's answer and now.
        if self._refuses(principal):
            session.close(TOKEN_EXPIRED)

    def remove(self, session: Session) -> None:
        """The session has gone."""
        principal = self.sessions.pop(session, None)
        if principal is not None and principal.expires_at != math.inf:
            bucket = self._due.get(_second(principal))
            if bucket is not None:
                bucket.discard(session)
                if not bucket:
                    del self._due[_second(principal)]

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.sweep()

    def sweep(self) -> None:
        """Close those whose token has expired."""
        now = time.time()
        for second in [second for second in self._due if second <= now]:
            for session in self._due.pop(second):
                session.close(TOKEN_EXPIRED)

    def recheck(self) -> None:
        """Close those whose token or key has been revoked."""
        for session, principal in tuple(self.sessions.items()):
            if self._refuses(principal):
                session.close(TOKEN_EXPIRED)


def _second(principal: Principal) -> int:
    return math.ceil(principal.expires_at)
