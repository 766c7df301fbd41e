"""What gathers for one server until its next write, and who learns what of it. Pure.

Events of a shard gather in the order in which they come, and leave as few packs as the bounds of
`common.stream.pack` allow; the events of one body that lie in a shard stand together. Behind the
packs go the questions to the rate's script, so that a driver's paid events stay before those asked
for. A pack is taken or refused as a whole, and with it everything that its waiters wait for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import hiredis

from common.keys import ENTRY_FIELD
from common.redis.url import Command
from common.redis.wire import Reply
from common.shards import Shards
from common.stream.backlog import ADDED
from common.stream.pack import BYTES_MAX, EVENTS_MAX, encode_pack, packs_of

# How a place in a pack ends the name of a position.
_PLACES = [b"-%d" % place for place in range(EVENTS_MAX)]


class Waiter(Protocol):
    """Learns what became of its events and of its questions."""

    def taken(self, count: int, position: bytes) -> None:
        """So many of its events are in a stream; the first has that `position`."""

    def refused(self) -> None:
        """Redis refused a pack with some of its events."""

    def answered(self, place: int, reply: Reply) -> None:
        """The reply, maybe an error, to its question number `place`."""


W = TypeVar("W", bound=Waiter)


@dataclass(frozen=True, slots=True)
class Question(Generic[W]):
    """A question to the rate's script, which adds up to `fixes` to a shard's stream."""

    waiter: W
    place: int
    shard: int
    fixes: int
    command: Command


@dataclass(slots=True)
class Pack(Generic[W]):
    """Events for one entry, and in their order who waits for how many of them."""

    shard: int
    events: Sequence[bytes]
    waiters: list[tuple[W, int]]


@dataclass(slots=True)
class Turn(Generic[W]):
    """What leaves in one write: packs, and then questions."""

    packs: list[Pack[W]]
    questions: list[Question[W]]

    def commands(self, shards: Shards) -> list[Command]:
        """For each pack its entry and, directly behind it, the count of its fixes."""
        commands: list[Command] = []
        for pack in self.packs:
            keys = shards[pack.shard].keys
            commands.append(("XADD", keys.stream, "*", ENTRY_FIELD, encode_pack(pack.events)))
            commands.append(("HINCRBY", keys.counts, ADDED, len(pack.events)))
        commands += [question.command for question in self.questions]
        return commands

    def settle(self, replies: Sequence[Reply]) -> None:
        """Tell each waiter what the replies to `commands` mean for it.

        The reply to a count is not looked at: the events are in the stream all the same.
        """
        asked_from = 2 * len(self.packs)
        for pack, reply in zip(self.packs, replies[:asked_from:2], strict=True):
            if isinstance(reply, hiredis.ReplyError):
                for waiter, _ in pack.waiters:
                    waiter.refused()
            elif len(pack.events) == 1:
                pack.waiters[0][0].taken(1, b"%d-%b" % (pack.shard, reply))
            else:
                entry, place = b"%d-%b" % (pack.shard, reply), 0
                for waiter, count in pack.waiters:
                    waiter.taken(count, entry + _PLACES[place])
                    place += count
        for question, reply in zip(self.questions, replies[asked_from:], strict=True):
            question.waiter.answered(question.place, reply)

    def waiters(self) -> list[W]:
        """All who wait for something in this turn; some more than once."""
        return [waiter for pack in self.packs for waiter, _ in pack.waiters] + [
            question.waiter for question in self.questions
        ]


@dataclass(slots=True)
class _Queue(Generic[W]):
    """Events of a shard, who waits for how many of them, and their bytes with line breaks."""

    events: list[bytes] = field(default_factory=list)
    waiters: list[tuple[W, int]] = field(default_factory=list)
    size: int = -1


class Gathering(Generic[W]):
    """What came since the last turn left. `size` is its events' bytes."""

    def __init__(self) -> None:
        self._queues: dict[int, _Queue[W]] = {}
        self._questions: list[Question[W]] = []
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._queues or self._questions)

    def add(self, shard: int, events: Sequence[bytes], size: int, waiter: W) -> None:
        """Let events, at least one and together `size` bytes, leave with the next turn."""
        queue = self._queues.get(shard)
        if queue is None:
            queue = self._queues[shard] = _Queue()
        queue.events += events
        queue.waiters.append((waiter, len(events)))
        queue.size += size + len(events)
        self.size += size

    def ask(self, question: Question[W], size: int) -> None:
        """Let a question with `size` bytes of events leave with the next turn."""
        self._questions.append(question)
        self.size += size

    def fixes(self, shard: int) -> int:
        """Fixes that gather for a shard, those that are only asked for too."""
        queue = self._queues.get(shard)
        asked = sum(question.fixes for question in self._questions if question.shard == shard)
        return asked + (len(queue.events) if queue is not None else 0)

    def leave(self) -> Turn[W]:
        """Take everything that gathered."""
        packs: list[Pack[W]] = []
        for shard, queue in self._queues.items():
            if len(queue.events) <= EVENTS_MAX and queue.size <= BYTES_MAX:
                packs.append(Pack(shard, queue.events, queue.waiters))
            else:
                packs += _cut(shard, queue)
        turn = Turn(packs, self._questions)
        self._queues, self._questions, self.size = {}, [], 0
        return turn

    def waiters(self) -> list[W]:
        """All who wait for the next turn; some more than once."""
        waiters = [waiter for queue in self._queues.values() for waiter, _ in queue.waiters]
        return waiters + [question.waiter for question in self._questions]


def _cut(shard: int, queue: _Queue[W]) -> list[Pack[W]]:
    """A queue that is too large for one pack; a waiter's events may lie in several."""
    packs = []
    waiters = iter(queue.waiters)
    waiter, left = next(waiters)
    for events in packs_of(queue.events):
        shares: list[tuple[W, int]] = []
        room = len(events)
        while room:
            if not left:
                waiter, left = next(waiters)
            count = min(room, left)
            shares.append((waiter, count))
            room, left = room - count, left - count
        packs.append(Pack(shard, events, shares))
    return packs
