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
from collections.abc import Callable, Iterable
from typing import Any

import hiredis

from common.backoff import Backoff
from common.errors import Overloaded
from common.log import Repeated, get
from common.redis.url import RedisUrl, open_connection, parse_redis_url

Argument = str | int | float | bytes | memoryview
Command = tuple[Argument, ...]
Reply = Any

# A server that restarts is back within a second or two: retry soon, but do not hammer it.
RECONNECT = Backoff(first_s=0.05, most_s=1.0)
# How often overdue replies are looked for; what a deadline may overshoot.
WATCH_EVERY_S = 0.1
# A connection that lived this long was a good one: the next attempt comes at once.
SETTLED_AFTER_S = 1.0
# A connection that was idle this long is asked whether it lives, before a caller finds out.
PING_AFTER_IDLE_S = 3.0
# Count of replies that means: one reply, and not as a list.
ONE = 0

# The stub means a tuple of any length.
_pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]


class Link(asyncio.Protocol):
    """One connection, until it is lost. `lost` is set with the reason, once."""

    def __init__(self, reply_timeout_s: float, inflight_bytes_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._reply_timeout_s = reply_timeout_s
        self._inflight_bytes_max = inflight_bytes_max
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._unsent: list[bytes] = []
        # (future, replies it wants, bytes, deadline), in the order of the replies to come.
        self._waiting: deque[tuple[asyncio.Future[Reply], int, int, float]] = deque()
        self._partial: list[Reply] = []
        self._inflight_bytes = 0
        self._heard_at = self._loop.time()
        self.lost: asyncio.Future[str] = self._loop.create_future()

    def add(self, packed: bytes, replies: int) -> asyncio.Future[Reply]:
        """Queue packed commands; the future gets the list of `replies`, or the ONE reply."""
        size = len(packed)
        if self.lost.done():
            raise Overloaded("the connection to Redis is lost")
        if self._inflight_bytes + size > self._inflight_bytes_max:
            raise Overloaded("too much is waiting for Redis")
        future = self._loop.create_future()
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._inflight_bytes += size
        deadline = self._loop.time() + self._reply_timeout_s
        self._waiting.append((future, replies, size, deadline))
        return future

    def _flush(self) -> None:
        if self._transport is not None and not self.lost.done():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Hand each reply to whoever waits for it."""
        self._heard_at = self._loop.time()
        gets = self._reader.gets
        try:
            self._reader.feed(data)
            # RESP2 has no booleans, so False is hiredis' word for "no whole reply yet".
            while (reply := gets()) is not False:
                self._settle(reply)
        except hiredis.ProtocolError as e:
            self.fail(f"not a Redis reply: {e}")

    def _settle(self, reply: Reply) -> None:
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

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed, or the network did."""
        self.fail(str(exc) if exc else "the connection was closed")

    def watch(self) -> None:
        """Fail the connection when its oldest reply is overdue; ask when it is quiet."""
        now = self._loop.time()
        if self._waiting:
            if now >= self._waiting[0][3]:
                self.fail(f"no reply within {self._reply_timeout_s:g} s")
        elif now - self._heard_at >= PING_AFTER_IDLE_S:
            self.add(_pack(("PING",)), ONE).add_done_callback(_drop)

    def fail(self, reason: str) -> None:
        """End this connection and everything that waits on it. Only the first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._transport is not None:
            self._transport.abort()
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
    ) -> None:
        """Raises `ConfigError` when `url` is wrong; connects only in `start`."""
        self._url: RedisUrl = parse_redis_url(url)
        self._reply_timeout_s = reply_timeout_s
        self._inflight_bytes_max = inflight_bytes_max
        self._name = name
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._trouble = Repeated(get("wire"), "redis.unreachable")
        # Times a connection was made: a caller that sees it grow knows there was a gap.
        self.generation = 0

    @property
    def up(self) -> bool:
        """Whether a command sent now would leave."""
        return self._link is not None and not self._link.lost.done()

    async def start(self) -> None:
        """Connect, and keep connected until `close`. Returns after the first attempt."""
        self._task = asyncio.create_task(self._run(), name=f"wire {self._name}")
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
        return link.add(_pack(args), ONE)

    def send_many(self, commands: Iterable[Command]) -> asyncio.Future[list[Reply]]:
        """Send at least one command in one piece; await the list of replies.

        An error reply stands in the list as a `hiredis.ReplyError`. Raises as `send` does.
        """
        link = self._link
        if link is None:
            raise Overloaded("Redis is not reachable")
        packed = [_pack(command) for command in commands]
        return link.add(b"".join(packed), len(packed))

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                link = await self._connect()
            except (OSError, Overloaded, hiredis.ReplyError, TimeoutError, UnicodeError) as e:
                self._trouble.failed(error=str(e) or type(e).__name__)
                self._tried.set()
                await asyncio.sleep(RECONNECT.delay_s(attempt))
                attempt += 1
                continue
            connected_at = asyncio.get_running_loop().time()
            self.generation += 1
            self._link = link
            self._tried.set()
            try:
                await self._watch(link, connected_at)
            finally:
                self._link = None
                link.fail("closed")
            if asyncio.get_running_loop().time() - connected_at >= SETTLED_AFTER_S:
                attempt = 0
                self._trouble.healed()
            else:
                await asyncio.sleep(RECONNECT.delay_s(attempt))
                attempt += 1
            self._trouble.failed(error=link.lost.result())

    async def _connect(self) -> Link:
        async with asyncio.timeout(self._reply_timeout_s):
            _, link = await open_connection(
                self._url, lambda: Link(self._reply_timeout_s, self._inflight_bytes_max)
            )
            try:
                for command in self._url.greeting(self._name):
                    await link.add(_pack(command), ONE)
            except BaseException:
                link.fail("the greeting failed")
                raise
        return link

    async def _watch(self, link: Link, connected_at: float) -> None:
        loop = asyncio.get_running_loop()
        while not link.lost.done():
            await asyncio.wait((link.lost,), timeout=WATCH_EVERY_S)
            if link.lost.done():
                return
            link.watch()
            if loop.time() - connected_at >= SETTLED_AFTER_S:
                self._trouble.healed()
