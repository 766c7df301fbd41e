"""One pipelined connection to Redis: replies are matched to callers in their order.

See `common.redis.wire` for what is promised of it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

import hiredis

from common.errors import Overloaded
from common.redis.connection import Connection, Reply, pack
from common.redis.url import Command

# A connection that was idle this long is asked whether it lives, before a caller finds out.
PING_AFTER_IDLE_S = 3.0
# How a server says that it does not serve a key, or writes, any more.
_ELSEWHERE = ("MOVED ", "READONLY ")


class Receiver(Protocol):
    """What a reply is handed to: a future, or something that acts in that very moment."""

    def done(self) -> bool:
        """Whether nothing is expected any more."""

    def set_result(self, result: Any, /) -> None:
        """The reply, or the list of replies."""

    def set_exception(self, exception: Exception, /) -> None:
        """The reply is an error, or there will be none (`Overloaded`)."""


class Link(Connection):
    """One pipelined connection: replies are matched to callers in order."""

    def __init__(self, reply_timeout_s: float, inflight_bytes_max: int) -> None:
        super().__init__()
        self._reply_timeout_s = reply_timeout_s
        self._inflight_bytes_max = inflight_bytes_max
        self._unsent: list[bytes] = []
        # (future, replies it wants as a list or 0 for one alone, bytes, deadline), in the order of
        # the replies to come.
        self._waiting: deque[tuple[Receiver, int, int, float]] = deque()
        self._partial: list[Reply] = []
        self._inflight_bytes = 0

    def new_future(self) -> asyncio.Future[Reply]:
        """A receiver that can be awaited."""
        return self._loop.create_future()

    def add(self, command: Command) -> asyncio.Future[Reply]:
        """Queue a command; the future gets its reply, or the error that the reply is."""
        return self.queue(pack(command), 0)

    def add_many(self, commands: Iterable[Command]) -> asyncio.Future[list[Reply]]:
        """Queue commands; the future gets the list of their replies, errors among them."""
        packed = [pack(command) for command in commands]
        return self.queue(b"".join(packed), len(packed))

    def queue(self, packed: bytes, replies: int) -> asyncio.Future[Reply]:
        """Queue packed commands with that many replies, 0 for one that is no list.

        Raises `Overloaded` when the connection is lost or too much waits.
        """
        future = self._loop.create_future()
        self.queue_for(packed, replies, future)
        return future

    def queue_for(self, packed: bytes, replies: int, receiver: "Receiver") -> None:
        """As `queue`; `receiver` gets the replies."""
        self._expect(receiver, replies, len(packed))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)

    def write_now(self, packed: bytes, replies: int, receiver: "Receiver") -> None:
        """Write packed commands before the loop goes on; `receiver` gets the replies as they come.

        Raises as `queue` does.
        """
        self._expect(receiver, replies, len(packed))
        self._unsent.append(packed)
        self._flush()

    def _expect(self, receiver: "Receiver", replies: int, size: int) -> None:
        if self.lost.done():
            raise Overloaded("the connection to Redis is lost")
        if self._inflight_bytes + size > self._inflight_bytes_max:
            raise Overloaded("too much is waiting for Redis")
        self._inflight_bytes += size
        deadline = self._loop.time() + self._reply_timeout_s
        self._waiting.append((receiver, replies, size, deadline))

    def _flush(self) -> None:
        if not self._unsent:
            return
        if self._transport is not None and not self.lost.done():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def received(self, reply: Reply) -> None:
        """Hand the reply to the caller that has waited longest."""
        if not self._waiting:
            self.fail(f"a reply nobody asked for: {reply}")
            return
        future, replies, size, _ = self._waiting[0]
        if replies:
            self._partial.append(reply)
            if len(self._partial) < replies:
                return
            reply, self._partial = self._partial, []
        self._waiting.popleft()
        self._inflight_bytes -= size
        if future.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            future.set_exception(reply)
            if str(reply).startswith("READONLY"):
                # A replica now: a new connection may find the new primary.
                self.fail("the server became a read-only replica")
        else:
            future.set_result(reply)

    def watch(self) -> float:
        """Fail the connection when its oldest reply is overdue; ask when it is quiet.

        Returns for how many seconds nothing can become overdue.
        """
        now = self._loop.time()
        if not self._waiting and now - self.heard_at >= PING_AFTER_IDLE_S:
            self.add(("PING",)).add_done_callback(_drop)
        if not self._waiting:
            # What is sent from now on is due after `reply_timeout_s` at the earliest.
            return min(self._reply_timeout_s, self.heard_at + PING_AFTER_IDLE_S - now)
        left_s = self._waiting[0][3] - now
        if left_s <= 0:
            self.fail(f"no reply within {self._reply_timeout_s:g} s")
        return left_s

    def abandon(self, reason: str) -> None:
        """Fail all callers: what became of their commands is unknown."""
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(Overloaded(f"Redis: {reason}; the outcome is unknown"))


class FollowingLink(Link):
    """A link that ends once its server says that the keys are elsewhere: the next one is there."""

    def received(self, reply: Reply) -> None:
        """As `Link`; replies within a pipeline are looked at, too."""
        super().received(reply)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith(_ELSEWHERE):
            self.fail("the server does not serve these keys any more")


def _drop(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled():
        future.exception()
