"""Wire: one pipelined connection to Redis, for everything that is hot.

Callers that are in flight together share writes: each adds its command and awaits its own
future, and what was added during one turn of the event loop leaves in one write. With
`appendfsync always` that makes a group commit: one fsync for all of them.

Invariants: replies are matched in order, so a caller that goes away (a cancelled future) still
has its reply read, and dropped. Nothing is sent twice: when the connection is lost, whatever
awaited a reply fails with `Overloaded`, its outcome unknown. What may wait is bounded in bytes
and in time: the reply that is too late fails the connection, since those behind it are later.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import hiredis

from common.errors import Overloaded
from common.log import Repeated, get
from common.processes.background import spawn
from common.redis.connection import (
    SETTLED_AFTER_S,
    Connection,
    Reply,
    keep_connected,
    open_greeted,
    pack,
)
from common.redis.url import Argument, Command, parse_redis_url

__all__ = ["Argument", "Command", "Link", "Reply", "Wire", "is_full"]

# Least time between two looks for an overdue reply; what its deadline may overshoot.
WATCH_LEAST_S = 0.01
# A connection that was idle this long is asked whether it lives, before a caller finds out.
PING_AFTER_IDLE_S = 3.0


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
        self._expect(future, replies, len(packed))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        return future

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


def is_full(error: hiredis.ReplyError) -> bool:
    """Whether Redis refused because its memory is full: reads and removals still work."""
    return str(error).startswith("OOM")


def _drop(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled():
        future.exception()


class Wire:
    """A connection that is made again whenever it is lost. See the module's invariants."""

    def __init__(
        self,
        url: str,
        *,
        reply_timeout_s: float,
        inflight_bytes_max: int = 64 * 1_048_576,
        name: str = "fleetline",
        settled_after_s: float = SETTLED_AFTER_S,
    ) -> None:
        """Raises `ConfigError` when `url` is wrong; connects only in `start`."""
        self._url = parse_redis_url(url)
        self._reply_timeout_s = reply_timeout_s
        self._inflight_bytes_max = inflight_bytes_max
        self._name = name
        self._settled_after_s = settled_after_s
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._trouble = Repeated(get("wire"), "redis.unreachable")
        # How many were made: what a server keeps for a connection is gone with the next one.
        self.connections = 0

    @property
    def up(self) -> bool:
        """Whether a command sent now would leave."""
        return self._link is not None and not self._link.lost.done()

    async def start(self) -> None:
        """Connect, and keep connected until `close`. Returns after the first attempt."""
        connected = keep_connected(
            self._connect, self._serve, self._trouble, settled_after_s=self._settled_after_s
        )
        self._task = spawn(connected, name=f"wire {self._name}")
        await self._tried.wait()

    async def close(self) -> None:
        """Stop; what still waits fails."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def send(self, *args: Argument) -> asyncio.Future[Reply]:
        """Send a command; await the reply.

        Raises `Overloaded` here when it cannot leave, from the future when the reply does not
        come, and `hiredis.ReplyError` from the future when Redis refuses.
        """
        link = self._link
        if link is None:
            raise Overloaded("Redis is not reachable")
        return link.queue(pack(args), 0)

    def pipeline_raw(self, commands: Iterable[Command]) -> asyncio.Future[list[Reply]]:
        """Send at least one command in one piece; await each reply.

        An error reply stands in the list as a `hiredis.ReplyError`. Raises as `send` does.
        """
        link = self._link
        if link is None:
            raise Overloaded("Redis is not reachable")
        return link.add_many(commands)

    def write_now(self, commands: Iterable[Command], receiver: Receiver) -> None:
        """`pipeline_raw` without a turn of the event loop before the write and behind the replies.

        For one caller who gathers commands by itself; `receiver` is called while replies are read
        and must not raise. Raises `Overloaded` here when they cannot leave.
        """
        link = self._link
        if link is None:
            raise Overloaded("Redis is not reachable")
        packed = [pack(command) for command in commands]
        link.write_now(b"".join(packed), len(packed), receiver)

    async def pipeline(self, commands: Iterable[Command]) -> list[Reply]:
        """`pipeline_raw`, where the first error reply is raised: the others were carried out."""
        return without_errors(await self.pipeline_raw(commands))

    async def _connect(self) -> Link:
        try:
            return await open_greeted(
                self._url,
                lambda: Link(self._reply_timeout_s, self._inflight_bytes_max),
                name=self._name,
                timeout_s=self._reply_timeout_s,
            )
        except BaseException:
            self._tried.set()
            raise

    async def _serve(self, link: Link) -> None:
        self._link = link
        self.connections += 1
        self._tried.set()
        settled = asyncio.get_running_loop().call_later(self._settled_after_s, self._trouble.healed)
        try:
            while not link.lost.done():
                # A look is a wake-up, and a process has several connections: no more than needed.
                wait_s = max(WATCH_LEAST_S, link.watch())
                await asyncio.wait((link.lost,), timeout=wait_s)
        finally:
            settled.cancel()
            self._link = None


def without_errors(replies: Sequence[Reply]) -> list[Reply]:
    """`replies` as a list. Raises the first error reply among them."""
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise reply
    return list(replies)
