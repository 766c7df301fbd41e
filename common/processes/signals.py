"""Signals as a queue: a handler only notes the number and wakes the loop that waits.

Nothing is logged, locked or raised inside a handler, so it cannot interrupt anything halfway.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalQueue:
    """Signals of one synchronous, single-threaded loop; use as a context in the main thread.

    `wake_fd` becomes readable with each signal; `take` empties the queue. Earlier handlers come
    back on exit.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._pending: deque[int] = deque()
        self._before: dict[int, object] = {}
        self._wakeup_before = -1
        self.wake_fd = -1
        self._write_fd = -1

    def __enter__(self) -> Self:
        self.wake_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.wake_fd)
        os.close(self._write_fd)

    def take(self) -> list[int]:
        """Signals since the last call, in the order they came."""
        try:
            while os.read(self.wake_fd, 4096):
                pass
        except BlockingIOError:
            pass
        taken = []
        while self._pending:
            taken.append(self._pending.popleft())
        return taken

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._pending.append(number)


def set_on_stop(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """For roles with an event loop: SIGINT and SIGTERM set `stop`."""
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)


@contextmanager
def stop_as_interrupt() -> Iterator[None]:
    """For programs without a loop: SIGTERM ends the block as Ctrl-C does, so all is put away."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
