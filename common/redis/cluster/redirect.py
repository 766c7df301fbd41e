"""A connection to one primary of a cluster, whose callers do not notice that a slot has moved.

A command whose key is elsewhere was not carried out, so it is asked again where the reply says;
only then its caller gets an answer. Whatever else goes wrong is the caller's to know: a lost reply
is never asked again.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

import hiredis

from common.errors import Overloaded
from common.redis.cluster.slot_map import Address, read_redirect
from common.redis.connection import FAILURES, pack
from common.redis.link import Link, Receiver
from common.redis.url import Argument, Command
from common.redis.wire import Locate, Reply, Wire

# Asks again, elsewhere, what replies say is elsewhere; gives all replies. Raises `Overloaded`.
Resend = Callable[[Sequence[Command], list[Reply], Address], Awaitable[list[Reply]]]
# Runs that in the background.
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Redirected:
    """Receives the replies to commands, and hands them on once none of them leads elsewhere."""

    __slots__ = ("_alone", "_commands", "_receiver", "_wire")

    def __init__(
        self, wire: "ClusterWire", commands: Sequence[Command], receiver: Receiver, *, alone: bool
    ) -> None:
        self._wire = wire
        self._commands = commands
        self._receiver = receiver
        # One command, whose reply is no list.
        self._alone = alone

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self._receiver.done()

    def set_result(self, result: Any, /) -> None:
        """The replies."""
        if not self._alone:
            address = self._wire.address
            for reply in result:
                if isinstance(reply, hiredis.ReplyError) and read_redirect(reply, address):
                    self._wire.follow(self._follow(list(result)))
                    return
        self._receiver.set_result(result)

    def set_exception(self, exception: Exception, /) -> None:
        """The reply is an error, or there will be none."""
        if self._alone and read_redirect(exception, self._wire.address):
            self._wire.follow(self._follow([exception]))
        else:
            self._receiver.set_exception(exception)

    async def _follow(self, replies: list[Reply]) -> None:
        try:
            replies = await self._wire.resend(self._commands, replies, self._wire.address)
        except BaseException as e:  # whatever it is, somebody waits
            if not self._receiver.done():
                unknown = Overloaded("Redis: its keys are moving; the outcome is unknown")
                self._receiver.set_exception(e if isinstance(e, Overloaded) else unknown)
            if not isinstance(e, FAILURES):
                raise
            return
        if self._receiver.done():
            return
        if not self._alone:
            self._receiver.set_result(replies)
        elif isinstance(replies[0], hiredis.ReplyError):
            self._receiver.set_exception(replies[0])
        else:
            self._receiver.set_result(replies[0])


class ClusterWire(Wire):
    """The connection to the primary at `address`. `lost` is called whenever there is none."""

    def __init__(
        self,
        address: Address,
        locate: Locate,
        *,
        resend: Resend,
        follow: Spawn,
        lost: Callable[[], None],
        **limits: Any,
    ) -> None:
        super().__init__(locate, **limits)
        # Replies that lead elsewhere are followed: no reason to leave this server.
        self._new_link = Link
        self.address = address
        self.resend = resend
        self.follow = follow
        self._lost = lost

    def send(self, *args: Argument) -> Any:
        """As `Wire`; answered from where the key is."""
        link = self._require_link()
        future = link.new_future()
        link.queue_for(pack(args), 0, Redirected(self, (args,), future, alone=True))
        return future

    def pipeline_raw(self, commands: Iterable[Command]) -> Any:
        """As `Wire`; each command is answered from where its key is."""
        link, wanted = self._require_link(), list(commands)
        future = link.new_future()
        packed = [pack(command) for command in wanted]
        receiver = Redirected(self, wanted, future, alone=False)
        link.queue_for(b"".join(packed), len(packed), receiver)
        return future

    def write_now(self, commands: Iterable[Command], receiver: Receiver) -> None:
        """As `Wire`; each command is answered from where its key is."""
        wanted = list(commands)
        super().write_now(wanted, Redirected(self, wanted, receiver, alone=False))

    def here(self, commands: Sequence[Command]) -> Any:
        """As `pipeline_raw`, and answered by this server whatever it says."""
        return super().pipeline_raw(commands)

    async def _connect(self) -> Any:
        try:
            return await super()._connect()
        except Exception:
            self._lost()
            raise

    async def _serve(self, link: Any) -> None:
        try:
            await super()._serve(link)
        finally:
            self._lost()
