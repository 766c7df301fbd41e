"""The tasks of a process that nobody awaits: each is watched, and none dies unseen.

A chore that meets expected trouble (Redis away, a command refused) says so once and is tried
again, on its own: it holds up no other chore. Any other exception is a bug in that task. The
process then ends, loudly, and its supervisor starts another; a process that went on without one
of its tasks would look healthy and not be.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import hiredis

from common.errors import Overloaded
from common.log import Log, Repeated, get
from common.processes.heartbeat import BEAT_EVERY_S, Heartbeat

# Exit status of a process one of whose tasks failed: the supervisor starts another.
EXIT_TASK_DIED = 70
# What a chore may end with when Redis is away, slow or refuses.
EXPECTED = (Overloaded, hiredis.ReplyError, TimeoutError, OSError)

Crashed = Callable[[str, BaseException], None]


def end_process(name: str, error: BaseException) -> None:
    """End this process at once: the task `name` failed with `error`."""
    get("background").critical("task.died", task=name, exc_info=error)
    os._exit(EXIT_TASK_DIED)


async def keep_beating(heartbeat: Heartbeat) -> None:
    """Beat while the event loop runs: for a process each of whose waits is bounded."""
    while True:
        heartbeat.beat()
        await asyncio.sleep(BEAT_EVERY_S)


def spawn(
    coroutine: Coroutine[Any, Any, None], *, name: str, crashed: Crashed = end_process
) -> asyncio.Task[None]:
    """Run `coroutine` as a task; `crashed` is told of an exception, not of a cancellation."""
    task = asyncio.create_task(coroutine, name=name)

    def done(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            crashed(name, error)

    task.add_done_callback(done)
    return task


class Background:
    """Owns tasks from their start to `close`."""

    def __init__(self, log: Log, *, crashed: Crashed = end_process) -> None:
        self._log = log
        self._crashed = crashed
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `coroutine` until it returns or until `close`."""
        task = spawn(coroutine, name=name, crashed=self._crashed)
        self._tasks.append(task)
        return task

    def every(
        self, seconds: float, chore: Callable[[], Awaitable[object]], *, name: str
    ) -> asyncio.Task[None]:
        """Do `chore` now and again `seconds` after it is done, whatever becomes of it.

        Trouble that is `EXPECTED` is logged as `<name>.failed`, once and then counted.
        """
        return self.run(self._repeat(seconds, chore, name), name=name)

    async def _repeat(
        self, seconds: float, chore: Callable[[], Awaitable[object]], name: str
    ) -> None:
        trouble = Repeated(self._log, f"{name}.failed")
        while True:
            try:
                await chore()
            except EXPECTED as e:
                trouble.failed(error=str(e) or type(e).__name__)
            else:
                trouble.healed()
            await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Cancel every task, the newest first, and wait for their ends."""
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
