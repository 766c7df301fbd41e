"""What a request holds while its events are on their way: a future, and until when it may wait."""

import asyncio
from typing import Any

from common.errors import Overloaded
from common.redis.wire import Reply


class Ticket:
    """What one request waits for. An exception of its future is an `Overloaded` of its own."""

    __slots__ = ("deadline", "future")

    def __init__(self, future: asyncio.Future[Any], deadline: float) -> None:
        self.future = future
        self.deadline = deadline

    def taken(self, count: int, position: bytes) -> None:
        """Its only event is in a stream; the future's result names the event's position."""
        if not self.future.done():
            self.future.set_result(position)

    def answered(self, place: int, reply: Reply) -> None:
        """One event alone asks nothing."""

    def refused(self) -> None:
        """Redis refused a pack."""
        self.fail("Redis does not take entries now")

    def fail(self, reason: str) -> None:
        """Not all of it is known to be in its stream."""
        if not self.future.done():
            self.future.set_exception(Overloaded(reason))


class BodyTicket(Ticket):
    """A ticket for many events and questions; the future's result are the questions' replies."""

    __slots__ = ("_left", "_replies")

    def __init__(
        self, future: asyncio.Future[Any], deadline: float, events: int, questions: int
    ) -> None:
        super().__init__(future, deadline)
        # Events and questions that are not settled.
        self._left = events + questions
        self._replies: list[Reply] = [None] * questions

    def taken(self, count: int, position: bytes) -> None:
        """So many of its events are in a stream."""
        self._settle(count)

    def answered(self, place: int, reply: Reply) -> None:
        """The script's reply to one of its questions."""
        self._replies[place] = reply
        self._settle(1)

    def _settle(self, count: int) -> None:
        self._left -= count
        if not self._left and not self.future.done():
            self.future.set_result(self._replies)
