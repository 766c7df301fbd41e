"""All open sockets: their count, their pings, and the deadlines of those in trouble.

One wheel turns for all of them instead of a timer each. Each session sits in a random slot, so
pings are spread over the interval; a session is due once a turn.
"""

import asyncio
import math
import random
from typing import Final

from fanout.sockets.close_codes import NO_PONG, Close
from fanout.sockets.counts import FanoutCounts
from fanout.sockets.places import Places
from fanout.sockets.session import Session
from fanout.sockets.token_sessions import TokenSessions

# Turns of the wheel are divided into this many ticks: at the default 25 s, four a second.
SLOTS: Final = 100
# From our close frame to the end of the connection, in seconds, if the client does not end it.
CLOSE_WAIT_S: Final = 2.0


class Sessions:
    """The open sockets of this process."""

    def __init__(
        self,
        counts: FanoutCounts,
        places: Places,
        with_token: TokenSessions,
        *,
        ping_interval_s: float,
        pong_timeout_s: float,
        stall_max_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts = counts
        self._places = places
        self._with_token = with_token
        self.tick_s = ping_interval_s / SLOTS
        self._pong_ticks = min(SLOTS - 1, math.ceil(pong_timeout_s / self.tick_s))
        self._stall_max_s = stall_max_s
        self._wheel: list[set[Session]] = [set() for _ in range(SLOTS)]
        self._tick = 0
        self.open: set[Session] = set()
        # Set while nobody is here.
        self.emptied = asyncio.Event()
        self.emptied.set()
        # Full sockets: since when they took nothing, and what waited then, in bytes.
        self.full: dict[Session, tuple[float, int]] = {}
        # Sockets with a close frame sent, and when they are ended, soonest first.
        self.ending: dict[Session, float] = {}

    def opened(self, session: Session) -> None:
        """Count a session in."""
        session.slot = random.randrange(SLOTS)  # noqa: S311
        self._wheel[session.slot].add(session)
        self.open.add(session)
        self._places.take(session.holder)
        self._with_token.add(session)
        self.emptied.clear()
        self._counts.accepted += 1

    def closed(self, session: Session) -> None:
        """Count a session out, everywhere."""
        self._note_conflated(session)
        self.open.discard(session)
        self._places.give_back(session.holder)
        self._with_token.remove(session)
        self._wheel[session.slot].discard(session)
        self.full.pop(session, None)
        self.ending.pop(session, None)
        if not self.open:
            self.emptied.set()

    def filled(self, session: Session) -> None:
        """Watch a socket that is full."""
        self.full[session] = (self._loop.time(), session.waiting_bytes())

    def drained(self, session: Session) -> None:
        """It took something."""
        self._note_conflated(session)
        self.full.pop(session, None)

    def closing(self, session: Session, close: Close | None) -> None:
        """A close frame has left: the client gets `CLOSE_WAIT_S` to answer."""
        if close is not None:
            self._counts.closes[close.code] += 1
        self.ending[session] = self._loop.time() + CLOSE_WAIT_S

    @property
    def conflated_in_full(self) -> int:
        """What is conflated in sockets that are full, and not counted yet."""
        return sum(session.outbox.conflated for session in self.full)

    def _note_conflated(self, session: Session) -> None:
        self._counts.conflated += session.outbox.conflated
        session.outbox.conflated = 0

    def tick(self) -> None:
        """Turn the wheel by a slot: ping those who are due, end those whose time is over."""
        self._tick = (self._tick + 1) % SLOTS
        # Whatever a ping leads to, a session that goes must not change what is looped over.
        for session in tuple(self._wheel[self._tick]):
            session.ping()
        for session in tuple(self._wheel[(self._tick - self._pong_ticks) % SLOTS]):
            # A client that stopped reading may owe a pong only because it could not be asked.
            if session.awaiting_pong:
                self._counts.no_pong += 1
                session.close(NO_PONG)
                session.abort()
        now = self._loop.time()
        self._end_overdue(now)
        self._abort_stalled(now)

    def _end_overdue(self, now: float) -> None:
        overdue = []
        for session, deadline in self.ending.items():
            if deadline > now:
                break
            overdue.append(session)
        for session in overdue:
            del self.ending[session]
            session.abort()

    def _abort_stalled(self, now: float) -> None:
        for session, (since, size) in tuple(self.full.items()):
            waiting = session.waiting_bytes()
            if waiting < size:
                self.full[session] = (now, waiting)
            elif now - since >= self._stall_max_s:
                self._counts.stalled += 1
                self._note_conflated(session)
                del self.full[session]
                session.abort()
