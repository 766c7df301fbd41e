"""A child with the solver in it, as its parent sees it: warm before it is asked, and killable.

A solve can only be ended from outside: whoever waits for it and gives up (a client that left, a
deadline) leaves a child that is killed, and another is started at once.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping

from common.log import get
from common.plans.frames import ANSWER_BYTES_MAX, BrokenFrame, read_frame, write_frame
from common.processes import process
from consumers.planner.solving.child import READY
from consumers.planner.solving.question import (
    SolverAnswer,
    SolverQuestion,
    decode_answer,
    encode_question,
)

ARGV = (sys.executable, "-m", "consumers.planner.solving.child")
# It imports for a second, and for many on a busy machine.
START_TIMEOUT_S = 60.0
# Between two starts of one that dies at once.
RESTART_S = 1.0
# The child sees what it needs to run, and no secret of its parent.
_SEEN = ("PATH", "PYTHONPATH", "PYTHONSAFEPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG", "TZ")

_log = get("planner")


class SolverGone(Exception):
    """The child ended while it was asked, or cannot be started."""


class Solver:
    """One child. `ask` is for one plan at a time. `died` counts ends that nobody asked for."""

    def __init__(self, argv: tuple[str, ...] = ARGV) -> None:
        self._argv = argv
        self._process: asyncio.subprocess.Process | None = None
        self._started = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._unwanted = False
        self.died = 0

    @property
    def pid(self) -> int | None:
        """Of the child, if it runs."""
        return None if self._process is None else self._process.pid

    @property
    def warm(self) -> bool:
        """Whether the child is there and has its packages."""
        return self._started.is_set()

    def start(self) -> None:
        """Have a child from now on, whatever becomes of one."""
        self._keeping = asyncio.create_task(self._keep(), name="solver")

    async def ask(self, question: SolverQuestion, timeout_s: float) -> SolverAnswer:
        """The answer. Raises `SolverGone`, and `TimeoutError` where it is late: it is killed then.

        So it is when the caller is cancelled.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._started.wait()
        except TimeoutError as e:
            raise SolverGone("the solver does not start") from e
        child = self._process
        if child is None or child.stdin is None or child.stdout is None:
            raise SolverGone("the solver is being started again")
        try:
            async with asyncio.timeout(timeout_s):
                await write_frame(child.stdin, encode_question(question))
                return decode_answer(await read_frame(child.stdout, ANSWER_BYTES_MAX))
        except (BrokenFrame, ConnectionError) as e:
            # It is dead, or as good as dead; the next one is asked, not this one again.
            self._started.clear()
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            raise SolverGone("the solver died") from e
        except (TimeoutError, asyncio.CancelledError):
            self._kill()
            raise

    async def close(self) -> None:
        """End the child, for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        self._kill()
        if self._process is not None:
            await self._process.wait()

    def _kill(self) -> None:
        self._started.clear()
        self._unwanted = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _keep(self) -> None:
        while True:
            self._unwanted = False
            try:
                child = await self._run()
            except (OSError, TimeoutError) as e:
                _log.error("planner.solver_not_started", error=str(e) or type(e).__name__)
                await asyncio.sleep(RESTART_S)
                continue
            status = await child.wait()
            self._started.clear()
            if not self._unwanted:
                self.died += 1
                _log.warning("planner.solver_died", status=status)

    async def _run(self) -> asyncio.subprocess.Process:
        """A child that has said it is ready. Raises `OSError`, `TimeoutError`."""
        child = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment(os.environ),
        )
        self._process = child
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                if child.stdout is None or await read_frame(child.stdout, 64) != READY:
                    raise BrokenFrame("it does not say that it is ready")
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            raise
        self._started.set()
        return child


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What the child is told."""
    seen = {name: own[name] for name in _SEEN if name in own}
    return {
        **seen,
        process.PARENT_PID_ENV: str(os.getpid()),
        # One core each: there are as many children as cores.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
