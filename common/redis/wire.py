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
from collections.abc import Awaitable, Callable, Iterable, Sequence

import hiredis

from common.errors import Overloaded
from common.log import Repeated, get
from common.processes.background import spawn
from common.redis.connection import (
    SETTLED_AFTER_S,
    Reply,
    keep_connected,
    open_greeted,
    pack,
)
from common.redis.link import FollowingLink, Link, Receiver
from common.redis.url import Argument, Command, RedisUrl, parse_redis_url

__all__ = ["Argument", "Command", "Link", "Receiver", "Reply", "Wire", "is_full"]

# Finds the server to connect to. Raises one of `FAILURES` while there is none.
Locate = Callable[[], Awaitable[RedisUrl]]
# Least time between two looks for an overdue reply; what its deadline may overshoot.
WATCH_LEAST_S = 0.01


def is_full(error: hiredis.ReplyError) -> bool:
    """Whether Redis refused because its memory is full: reads and removals still work."""
    return str(error).startswith("OOM")


class Wire:
    """A connection that is made again whenever it is lost. See the module's invariants."""

    def __init__(
        self,
        server: str | Locate,
        *,
        reply_timeout_s: float,
        inflight_bytes_max: int = 64 * 1_048_576,
        name: str = "fleetline",
        settled_after_s: float = SETTLED_AFTER_S,
    ) -> None:
        """`server`: its URL, or what finds it before each connection.

        Raises `ConfigError` when the URL is wrong; connects only in `start`.
        """
        if isinstance(server, str):
            self._locate, self._new_link = _always(parse_redis_url(server)), Link
        else:
            # Keys, and the right to write them, may go to another server.
            self._locate, self._new_link = server, FollowingLink
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
        if self._task is None:
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

    def _require_link(self) -> Link:
        if self._link is None:
            raise Overloaded("Redis is not reachable")
        return self._link

    async def pipeline(self, commands: Iterable[Command]) -> list[Reply]:
        """`pipeline_raw`, where the first error reply is raised: the others were carried out."""
        return without_errors(await self.pipeline_raw(commands))

    async def _connect(self) -> Link:
        try:
            return await open_greeted(
                await self._locate(),
                lambda: self._new_link(self._reply_timeout_s, self._inflight_bytes_max),
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


def _always(url: RedisUrl) -> Locate:
    async def locate() -> RedisUrl:
        return url

    return locate
