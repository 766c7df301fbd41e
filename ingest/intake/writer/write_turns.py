"""Writes to one server in turns: while one is unanswered, what comes gathers for the next.

At low load an event leaves at once and alone; the busier the server, the more share one entry,
one write and one fsync (group commit). Nobody is waited for, but turns leave `gap_s` apart.

Invariants: one turn is out at a time, so the order in which events came is the order of their
shard's stream. A waiter that is gone changes nothing: what gathered for it is written. Nobody
waits longer than the reply timeout for all of it together, gathering and reply; what gathers is
bounded in bytes. Where a write has to be on a replica (`Replication`), that is asked for behind
each turn, and what is not known to be there is not known to be accepted.
"""

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter

import hiredis

from common.errors import Overloaded
from common.log import Repeated, get
from common.metrics.histogram import Histogram
from common.metrics.names.ingest import WRITE_SECONDS
from common.redis.replication import REPLICA_TIMEOUT_MS, Replication, following
from common.redis.url import Command
from common.redis.wire import Reply, Wire
from common.shards import Shards
from common.trace import Tracing
from ingest.intake.writer.gathering import Gathering, Question, Turn
from ingest.intake.writer.ticket import BodyTicket, Ticket
from ingest.intake.writer.turn_trace import note_turn

# Least time between two looks for waiters that are overdue; what a deadline may overshoot.
WATCH_EVERY_S = 0.05

# The index of a shard, and events for it, at least one.
Portion = tuple[int, Sequence[bytes]]
# The index of a shard, the events that are asked for, and the command that asks.
Asked = tuple[int, Sequence[bytes], Command]


class _Outcome:
    """Receives a turn's replies while they are read: a turn of the event loop costs 20 µs."""

    __slots__ = ("_turn", "_turns")

    def __init__(self, turns: "WriteTurns", turn: Turn[Ticket]) -> None:
        self._turns = turns
        self._turn = turn

    def done(self) -> bool:
        """Nobody can take it back."""
        return False

    def set_result(self, replies: Sequence[Reply], /) -> None:
        """All replies have come."""
        self._turns.answered(self._turn, replies)

    def set_exception(self, error: Exception, /) -> None:
        """The link is lost."""
        self._turns.lost(self._turn, str(error))


class WriteTurns:
    """The turns of one server."""

    def __init__(
        self,
        wire: Wire,
        shards: Shards,
        *,
        gap_s: float,
        timeout_s: float,
        bytes_max: int,
        tracing: Tracing,
        replication: Replication,
    ) -> None:
        self._wire = wire
        self.replication = replication
        # On how many replicas the turn that is out has to be.
        self._copies = 0
        self._tracing = tracing
        self._shards = shards
        self._gap_s = gap_s
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        self.gathering: Gathering[Ticket] = Gathering()
        # The turn that is unanswered, and whether none is and nothing gathers.
        self._out: Turn[Ticket] | None = None
        self._idle = True
        self._left_at = 0.0
        # For metrics: packs that left, those that were refused, and how long answers took.
        self.packs = self.refused = 0
        self.times = Histogram(WRITE_SECONDS)
        self._left_s = 0.0
        self._watching = False
        self._refusals = Repeated(get("ingest"), "redis.refused")

    def add_one(self, shard: int, event: bytes) -> asyncio.Future[bytes]:
        """Let one event leave with the next turn; its position.

        Its shard, its entry and, where others share the entry, its place. Raises `Overloaded`
        here or from the future.
        """
        size = len(event)
        loop = self._admit(size)
        ticket = Ticket(loop.create_future(), loop.time() + self._timeout_s)
        self.gathering.add(shard, (event,), size, ticket)
        return ticket.future

    def add(
        self, portions: Sequence[Portion], asks: Sequence[Asked] = ()
    ) -> asyncio.Future[list[Reply]]:
        """Let a body's events leave with the next turn, and behind them its questions.

        The result are the replies to the questions. Raises `Overloaded` here or from the future.
        """
        sizes = [sum(map(len, events)) for _, events in portions]
        asked = [sum(map(len, events)) for _, events, _ in asks]
        loop = self._admit(sum(sizes) + sum(asked))
        count = sum(len(events) for _, events in portions)
        deadline = loop.time() + self._timeout_s
        ticket = BodyTicket(loop.create_future(), deadline, count, len(asks))
        for (shard, events), size in zip(portions, sizes, strict=True):
            self.gathering.add(shard, events, size, ticket)
        for place, ((shard, events, command), size) in enumerate(zip(asks, asked, strict=True)):
            self.gathering.ask(Question(ticket, place, shard, len(events), command), size)
        return ticket.future

    def _admit(self, size: int) -> asyncio.AbstractEventLoop:
        if self.gathering.size + size > self._bytes_max:
            raise Overloaded("too much is waiting for Redis")
        loop = asyncio.get_running_loop()
        if self._idle:
            self._leave_soon(loop)
        return loop

    def _leave_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave once the gap is over, with all that came by then; at the earliest in a moment."""
        self._idle = False
        early_s = self._left_at + self._gap_s - loop.time()
        if early_s > 0:
            loop.call_later(early_s, self._leave)
        else:
            loop.call_soon(self._leave)

    def _leave(self) -> None:
        loop = asyncio.get_running_loop()
        turn = self.gathering.leave()
        commands = turn.commands(self._shards)
        self._copies = self.replication.copies
        if self._copies:
            commands.append(("WAIT", self._copies, REPLICA_TIMEOUT_MS))
        try:
            self._wire.write_now(commands, _Outcome(self, turn))
        except Overloaded as e:
            self._idle = True
            _fail(turn.waiters(), str(e))
            return
        self._out = turn
        self._left_at = loop.time()
        self._left_s = perf_counter()
        if not self._watching:
            self._watching = True
            loop.call_later(self._timeout_s, self._fail_overdue)

    def answered(self, turn: Turn[Ticket], replies: Sequence[Reply]) -> None:
        """The turn that was out is answered: the next may leave."""
        self.times.observe(perf_counter() - self._left_s)
        self.packs += len(turn.packs)
        if self._copies:
            *replies, copies = replies
            if not isinstance(copies, int) or copies < self._copies:
                self._look_for_replicas()
                _fail(turn.waiters(), _ON_NO_REPLICA)
                self._note(replies[: 2 * len(turn.packs) : 2])
                return
        self._go_on()
        turn.settle(replies)
        if self._tracing.on:
            note_turn(self._tracing, turn, replies)
        self._note(replies[: 2 * len(turn.packs) : 2])

    def _look_for_replicas(self) -> None:
        """Before the next turn leaves: whether there is a replica to wait for."""

        def looked(info: asyncio.Future[Reply]) -> None:
            if not info.cancelled() and info.exception() is None:
                self.replication.saw(following(info.result()))
            self._go_on()

        try:
            self._wire.send("INFO", "replication").add_done_callback(looked)
        except Overloaded:
            self._go_on()

    def lost(self, turn: Turn[Ticket], reason: str) -> None:
        """What became of the turn that was out will not be known."""
        self._go_on()
        _fail(turn.waiters(), reason)

    def _go_on(self) -> None:
        self._out = None
        if self.gathering:
            self._leave_soon(asyncio.get_running_loop())
        else:
            self._idle = True

    def _note(self, entries: Sequence[Reply]) -> None:
        refusals = [reply for reply in entries if isinstance(reply, hiredis.ReplyError)]
        self.refused += len(refusals)
        if refusals:
            self._refusals.failed(error=str(refusals[0]))
        else:
            self._refusals.healed()

    def _fail_overdue(self) -> None:
        """Fail those who have waited too long; what they wait for is written all the same."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = self.gathering.waiters()
        if self._out is not None:
            waiting += self._out.waiters()
        _fail((ticket for ticket in waiting if ticket.deadline <= now), _OVERDUE)
        due = [ticket.deadline for ticket in waiting if ticket.deadline > now]
        self._watching = bool(due)
        if due:
            loop.call_later(max(WATCH_EVERY_S, min(due) - now), self._fail_overdue)


_ON_NO_REPLICA = "no replica of Redis has it in time; the outcome is unknown"
_OVERDUE = "Redis did not answer in time; the outcome is unknown"


def _fail(tickets: Iterable[Ticket], reason: str) -> None:
    for ticket in tickets:
        ticket.fail(reason)
