"""How many long reads run at once, so that fixes keep their share of the event loop.

A read of the history costs a worker tens of milliseconds, in pieces; twenty of them side by side
put twenty pieces between two steps of a fix. So a few run, at most a share of them one sender's,
and the others wait in line; a line that is full, or too slow, is refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from common.errors import Overloaded, Refused
from common.problem import TOO_MANY_READS

# Reads of one sender that run or wait.
PER_SENDER_MAX = 32
# Reads of all senders that run or wait.
READS_MAX = 128
# Longest wait in line, in seconds.
WAIT_MAX_S = 5.0


@dataclass(slots=True)
class _Line:
    """One sender's reads: how many there are, and how many more of them may run."""

    running: asyncio.Semaphore
    count: int = 0


class ReadLimiter:
    """Gives reads their turns; one for a worker and a kind of read.

    `running_max` reads run at once, `sender_running_max` of them of one sender.
    """

    def __init__(
        self, running_max: int, sender_running_max: int, *, wait_max_s: float = WAIT_MAX_S
    ) -> None:
        self._sender_running_max = sender_running_max
        self._wait_max_s = wait_max_s
        self._running = asyncio.Semaphore(running_max)
        self._lines: dict[str, _Line] = {}
        self._count = 0

    @asynccontextmanager
    async def turn(self, sender: str) -> AsyncIterator[None]:
        """Wait for a turn of `sender`, and hold it for the block.

        Raises `Refused` (429) when the sender has too many reads under way, and `Overloaded` when
        all senders together have, or when the turn does not come in time.
        """
        line = self._lines.get(sender)
        if line is None:
            line = self._lines[sender] = _Line(asyncio.Semaphore(self._sender_running_max))
        if line.count >= PER_SENDER_MAX:
            detail = f"more than {PER_SENDER_MAX} reads at once"
            raise Refused(429, detail, retry_after_s=1, problem=TOO_MANY_READS)
        if self._count >= READS_MAX:
            self._drop_empty(sender)
            raise Overloaded("too many reads are waiting")
        line.count += 1
        self._count += 1
        try:
            # Its own line first, so that its many reads do not wait in the places of others.
            async with self._in_time(line.running), self._in_time(self._running):
                yield
        finally:
            line.count -= 1
            self._count -= 1
            self._drop_empty(sender)

    @asynccontextmanager
    async def _in_time(self, running: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_max_s):
                await running.acquire()
        except TimeoutError as e:
            raise Overloaded("other reads take too long", retry_after_s=2) from e
        try:
            yield
        finally:
            running.release()

    def _drop_empty(self, sender: str) -> None:
        if not self._lines[sender].count:
            del self._lines[sender]
